"""Does the DDL log take entries? Tried, not assumed: triggers that are there and enabled still note nothing where the log's table refuses
the row, is locked or full, or where the target's settings turn event triggers off. A fault of ours never fails a user's DDL, so nobody
else would tell.
"""

from __future__ import annotations

from typing import Any

import psycopg

from schema_monitor import catalog

_TRY = "SELECT mendgate.canary()"


def takes_entries(target: psycopg.Connection[Any]) -> bool | None:
    """Makes a table in schema mendgate and drops it, in a transaction that is rolled back: nothing stays and nobody hears of it. None
    where this login may not try."""
    tail = f"SELECT {catalog.statement('ddl_log_tail')}"
    try:
        with target.transaction(force_rollback=True):
            target.execute("SET LOCAL lock_timeout = '1s'")
            before = target.execute(tail).fetchone()
            target.execute(_TRY)
            return target.execute(tail).fetchone() != before
    except psycopg.OperationalError:
        if target.closed:
            raise
        return None
    except psycopg.Error:
        return None
