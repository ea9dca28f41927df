"""Whether the schema watcher watches: it says so as the application_name of its connection to the control database."""

from __future__ import annotations

import psycopg

from schema_monitor.watch_name import WATCHING

_SEEN = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND application_name = %s)"


def is_watching(database_url: str) -> bool:
    """Asks the control database; False too where that does not answer."""
    try:
        with psycopg.connect(database_url, autocommit=True, connect_timeout=2, application_name="mendgate up") as control:
            return control.execute(_SEEN, [WATCHING]).fetchone() == (True,)
    except psycopg.Error:
        return False
