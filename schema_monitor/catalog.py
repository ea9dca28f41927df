"""Reads the target's catalog into snapshot values: asyncpg for the gateway, psycopg for the control plane, the same SQL for both.

Everything of one snapshot comes from one statement, so the raw catalog columns agree with each other. Text that Postgres deparses
(types, defaults, definitions) may be newer where DDL commits during the read; whoever watches takes its fingerprint of the catalog
*before* it reads, so such a read is followed by another. ``search_path`` is pinned while reading: names in deparsed text are
schema-qualified, valid anywhere, and no function of ours can be shadowed by one of the target's.

Errors are the driver's own. ``lock_timeout`` bounds waiting for a table that is being altered.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from msgspec.structs import replace

from schema_monitor.core.asking import asks
from schema_monitor.core.checks import allowed_values
from schema_monitor.core.fingerprint import snapshot_fingerprint, stamped
from schema_monitor.core.nodetree import plain_columns
from schema_monitor.core.snapshot import AlsoRun, EnumType, Function, Relation, Scope, Snapshot

Row = Sequence[Any]
"""(kind, JSON, query of the view or None, what writes also run or None)"""
PINNED_PATH = "pg_catalog, pg_temp"
SETTINGS = (
    f"SET LOCAL search_path = {PINNED_PATH}; SET LOCAL lock_timeout = '5s'; SET LOCAL jit = off; SET LOCAL plan_cache_mode = {{plan}}"
)
"""For the transaction of a read. Compiling these statements costs more than running them, and planning one relation's likewise."""
_SYSTEM_IDENTIFIER = "SELECT system_identifier::text FROM pg_control_system()"


async def read_snapshot(conn: Any, schemas: Sequence[str]) -> Snapshot:
    """The catalog of the connected database (asyncpg connection, inside a transaction or not)."""
    async with _pinned(conn, "force_custom_plan"):
        place = await conn.fetchrow(statement("scope"))
        identifier = await conn.fetchval(_SYSTEM_IDENTIFIER) if place["may_identify"] else None
        rows = await conn.fetch(snapshot_statement(), list(schemas))
    return _snapshot(_place(place, identifier, schemas), rows)


async def read_relation(conn: Any, schema: str, name: str) -> Relation | None:
    """One relation as it is now, or None where no such relation could be served."""
    async with _pinned(conn):
        row = await conn.fetchrow(relation_statement("wanted_by_name"), schema, name)
    return None if row is None else _relation(row)


async def read_relation_by_oid(conn: Any, oid: int) -> Relation | None:
    """One relation by identity, whatever its name is now."""
    async with _pinned(conn):
        row = await conn.fetchrow(relation_statement("wanted_by_oid"), oid)
    return None if row is None else _relation(row)


async def read_enums(conn: Any, oids: Iterable[int]) -> tuple[EnumType, ...]:
    """Enums by identity: what a relation that was read alone may use and the snapshot lack."""
    async with _pinned(conn):
        rows = await conn.fetch(statement("enums_by_oid"), list(oids))
    return tuple(_as_enum(row[0]) for row in rows)


def read_snapshot_sync(conn: Any, schemas: Sequence[str]) -> Snapshot:
    """``read_snapshot`` for a psycopg connection that is not inside a transaction."""
    from psycopg import RawCursor  # here, so that the gateway need not load it

    with pinned_sync(conn), RawCursor(conn) as cursor:
        place = read_place(cursor, schemas)
        rows = cursor.execute(snapshot_statement(), [list(schemas)]).fetchall()
    return _snapshot(place, rows)


def read_place(cursor: Any, schemas: Sequence[str]) -> Snapshot:
    """A snapshot without content: where we are (psycopg ``RawCursor``)."""
    place = cursor.execute(statement("scope")).fetchone()
    found = cursor.execute(_SYSTEM_IDENTIFIER).fetchone() if place[2] else None
    return _place(place, found[0] if found else None, schemas)


def read_text_sync(conn: Any, name: str) -> str:
    """The one value of ``fingerprint.sql`` (psycopg connection)."""
    with pinned_sync(conn):
        row = conn.execute(statement(name)).fetchone()
    return "" if row is None else str(row[0])


@cache
def snapshot_statement() -> str:
    """One statement for everything; $1 = exposed schemas (text[])."""
    parts = (statement("relations"), statement("enums"), statement("functions"))
    return f"WITH RECURSIVE {statement('wanted_exposed')},\n{statement('types')}\n" + "\nUNION ALL\n".join(parts)


@cache
def changed_statement() -> str:
    """One statement for what a change concerns; parameters as ``wanted_changed.sql`` says."""
    return snapshot_statement().replace(statement("wanted_exposed"), statement("wanted_changed"))


@cache
def relation_statement(wanted: str) -> str:
    """One statement for one relation; parameters as that ``wanted_*.sql`` says."""
    return f"WITH RECURSIVE {statement(wanted)},\n{statement('types')}\n{statement('relations')}"


@cache
def statement(name: str) -> str:
    """The text of ``sql/<name>.sql``."""
    return (Path(__file__).parent / "sql" / f"{name}.sql").read_text(encoding="utf-8")


@asynccontextmanager
async def _pinned(conn: Any, plan: str = "force_generic_plan") -> AsyncIterator[None]:
    """The search path fixed; in a transaction of the caller it is put back afterwards (where that failed, it ends anyway)."""
    if conn.is_in_transaction():
        before = await conn.fetchval("SELECT pg_catalog.current_setting('search_path'::pg_catalog.text)")
        await _set_path(conn, PINNED_PATH)
        yield
        await _set_path(conn, before)
        return
    async with conn.transaction(readonly=True):
        await conn.execute(SETTINGS.format(plan=plan))
        yield


async def _set_path(conn: Any, path: str) -> None:
    await conn.fetchval("SELECT pg_catalog.set_config('search_path'::pg_catalog.text, $1::pg_catalog.text, true)", path)


@contextmanager
def pinned_sync(conn: Any, plan: str = "force_custom_plan") -> Iterator[None]:
    """A transaction for reading the catalog: one snapshot for all its statements, the search path fixed (psycopg connection)."""
    with conn.transaction():
        conn.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; " + SETTINGS.format(plan=plan))
        yield


def _place(row: Sequence[Any], identifier: str | None, schemas: Sequence[str]) -> Snapshot:
    database_oid, server_version, _, monitor = row
    return Snapshot(Scope(identifier or "unknown", database_oid), server_version, {}, {}, {}, exposed=tuple(schemas), monitor=monitor)


def _snapshot(place: Snapshot, rows: Sequence[Row]) -> Snapshot:
    relations, enums, functions = things(rows, place.exposed)
    snapshot = replace(
        place,
        relations=dict(sorted(relations.items())),
        enums=dict(sorted(enums.items())),
        functions=dict(sorted(functions.items())),
    )
    return replace(snapshot, fingerprint=snapshot_fingerprint(snapshot))


def things(rows: Sequence[Row], exposed: Sequence[str]) -> tuple[dict[int, Relation], dict[int, EnumType], dict[int, Function]]:
    """What the rows of a snapshot statement describe, by oid. What is not served is not written to, and says nothing of that."""
    relations = [_relation(row) for row in rows if row[0] == "relation"]
    relations = [
        stamped(replace(each, runs_also=())) if each.runs_also and exposed and each.schema not in exposed else each for each in relations
    ]
    enums = [_as_enum(row[1]) for row in rows if row[0] == "enum"]
    functions = [_as_function(row[1]) for row in rows if row[0] == "function"]
    return {each.oid: each for each in relations}, {each.oid: each for each in enums}, {each.oid: each for each in functions}


def _relation(row: Row) -> Relation:
    """The relation of one row, with what is worked out here: check lists, origins of view columns, fingerprint."""
    relation = _as_relation(row[1])
    constraints = tuple(
        replace(c, allowed=allowed) if c.kind == "c" and len(c.columns) == 1 and (allowed := allowed_values(c.definition)) else c
        for c in relation.constraints
    )
    columns = plain_columns(row[2]) if row[2] else ()
    return stamped(replace(relation, constraints=constraints, view_columns=columns, runs_also=_also_run(row[3])))


def _also_run(text: str | None) -> tuple[AlsoRun, ...]:
    """Triggers and rules as they are; expressions only where they may ask for something."""
    found = msgspec.json.decode(text) if text else []
    return tuple(AlsoRun(what, inserts, updates) for what, inserts, updates, expression in found if expression is None or asks(expression))


_as_relation = msgspec.json.Decoder(Relation).decode
_as_enum = msgspec.json.Decoder(EnumType).decode
_as_function = msgspec.json.Decoder(Function).decode
