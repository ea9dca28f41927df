"""A real Postgres and a real Valkey under MENDGATE_HOME, for whoever gave no URLs.

Both listen on loopback only, ask for a generated password, keep their data across restarts and write it durably.
"""

from __future__ import annotations

from resilience_site.embedded_postgres import EmbeddedPostgres
from resilience_site.embedded_server import EmbeddedError, EmbeddedServer
from resilience_site.embedded_valkey import EmbeddedValkey

__all__ = ["EmbeddedError", "EmbeddedPostgres", "EmbeddedServer", "EmbeddedValkey"]
