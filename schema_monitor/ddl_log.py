"""Reads the DDL log of the target: asyncpg for the gateway, psycopg for the control plane. Free of Django.

Read it *before* the catalog: what it speaks of is then in the catalog, or gone for good.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

import msgspec

from schema_monitor.catalog import pinned_sync, statement
from schema_monitor.core.ddl import NOTHING, Author, Entry, Names, News
from schema_monitor.core.snapshot import Scope

log = logging.getLogger(__name__)
CHANNEL = "mendgate_ddl"
KEPT_DAYS = 30
_PRUNE = f"DELETE FROM mendgate.ddl_log WHERE at < now() - interval '{KEPT_DAYS} days'"  # noqa: S608  (a number of ours)


async def read(conn: Any, horizon: int) -> News | None:
    """What is in the log from that horizon on (asyncpg connection); None where there is no log that we may read, or a broken one."""
    if not (await conn.fetchrow(statement("ddl_log_state")))["readable"]:
        return None
    try:
        return _news(await conn.fetch(statement("ddl_log"), str(horizon)))
    except _async_broken() as error:
        log.warning("the DDL log of the target cannot be read: %s", error)
        return None


def read_sync(conn: Any, horizon: int) -> News | None:
    """``read`` for a psycopg connection that is not inside a transaction. Waits for a locked log a few seconds at most."""
    from psycopg import RawCursor, errors  # here, so that the gateway need not load it

    broken = (errors.UndefinedTable, errors.UndefinedColumn, errors.DatatypeMismatch, errors.UndefinedFunction, errors.LockNotAvailable)
    try:
        with pinned_sync(conn), RawCursor(conn) as cursor:
            (readable, *_) = cursor.execute(statement("ddl_log_state")).fetchone() or (False,)
            return _news(cursor.execute(statement("ddl_log"), [str(horizon)]).fetchall()) if readable else None
    except broken as error:
        log.warning("the DDL log of the target cannot be read: %s", str(error).strip())
        return None


def prune_sync(conn: Any) -> None:
    """Deletes what is older than 30 days (psycopg connection that may read the log)."""
    with conn.transaction():
        conn.execute("SET LOCAL lock_timeout = '1s'")
        conn.execute(_PRUNE)


def _async_broken() -> tuple[type[Exception], ...]:
    import asyncpg.exceptions as errors

    return (errors.UndefinedTableError, errors.UndefinedColumnError, errors.DatatypeMismatchError, errors.UndefinedFunctionError)


def _news(rows: Iterable[Any]) -> News:
    rows = [tuple(row) for row in rows]
    return News(rows[0][0], tuple(_entry(row) for row in rows if row[1] is not None))


def _entry(row: tuple[Any, ...]) -> Entry:
    _, id, system, database, tag, otype, objid, dropped, usr, app, names = row
    return Entry(id, Scope(system, database), Author(tag, usr, app), otype, objid, dropped, NOTHING if names is None else _as_names(names))


_as_names = msgspec.json.Decoder(Names).decode
