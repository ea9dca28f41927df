"""Reads the DDL log of the target: asyncpg for the gateway, psycopg for the control plane. Free of Django.

Read it *before* the catalog: what it speaks of is then in the catalog, or gone for good.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from schema_monitor.catalog import statement
from schema_monitor.core.ddl import NOTHING, Author, Entry, Names, News
from schema_monitor.core.snapshot import Scope

CHANNEL = "mendgate_ddl"
KEPT_DAYS = 30
_PRUNE = f"DELETE FROM mendgate.ddl_log WHERE at < now() - interval '{KEPT_DAYS} days'"  # noqa: S608  (a number of ours)


async def read(conn: Any, horizon: int) -> News | None:
    """What is in the log from that horizon on (asyncpg connection); None where there is no log that we may read."""
    if not (await conn.fetchrow(statement("ddl_log_state")))["readable"]:
        return None
    return _news(await conn.fetch(statement("ddl_log"), str(horizon)))


def read_sync(conn: Any, horizon: int) -> News | None:
    """``read`` for a psycopg connection."""
    from psycopg import RawCursor  # here, so that the gateway need not load it

    with RawCursor(conn) as cursor:
        (readable, *_) = cursor.execute(statement("ddl_log_state")).fetchone() or (False,)
        return _news(cursor.execute(statement("ddl_log"), [str(horizon)]).fetchall()) if readable else None


def prune_sync(conn: Any) -> None:
    """Deletes what is older than 30 days (psycopg connection that may read the log)."""
    conn.execute(_PRUNE)


def _news(rows: Iterable[Any]) -> News:
    rows = [tuple(row) for row in rows]
    return News(rows[0][0], tuple(_entry(row) for row in rows if row[1] is not None))


def _entry(row: tuple[Any, ...]) -> Entry:
    _, id, system, database, tag, otype, objid, dropped, usr, app, names = row
    return Entry(id, Scope(system, database), Author(tag, usr, app), otype, objid, dropped, NOTHING if names is None else _as_names(names))


_as_names = msgspec.json.Decoder(Names).decode
