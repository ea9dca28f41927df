"""Reads of a large catalog only what the DDL log says was touched (psycopg). Free of Django.

Everything in one transaction with one snapshot: what was touched; then, where names, types or keys of it changed, whatever repeats these
in its own description (foreign keys, policies, defaults, views). See ``core.patch`` for what this cannot do.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from psycopg import RawCursor

from schema_monitor import catalog
from schema_monitor.core.ddl import Entry
from schema_monitor.core.patch import Ask, Found, ask, patched, seen_elsewhere, wider, writing_through
from schema_monitor.core.snapshot import Snapshot

NOTHING = Found({}, {}, {})


def read_changed(conn: Any, old: Snapshot, entries: Sequence[Entry]) -> Snapshot | None:
    """The catalog as it is, given how it was and what the log tells since; None where it must be read whole."""
    asked = ask(entries, old)
    if asked is None:
        return None
    with catalog.pinned_sync(conn, "force_generic_plan"), RawCursor(conn) as cursor:
        place = catalog.read_place(cursor, old.exposed)
        if asked.granted:
            asked = wider(asked, _granted(cursor, old) & old.relations.keys())
        asked = wider(asked, writing_through(old, asked, _above(cursor, asked.relations)))
        found = _read(cursor, old, asked)
        moved = seen_elsewhere(old, asked, found)
        if moved or asked.sequences or asked.renamed_functions:
            relations, functions = _dependents(cursor, moved | asked.sequences, asked.renamed_functions)
            more = wider(Ask(), (relations & old.relations.keys()) - asked.relations, (functions & old.functions.keys()) - asked.functions)
            asked = wider(asked, more.relations, more.functions)
            found = _read(cursor, old, more, found)
    return patched(old, place, asked, found)


def _read(cursor: Any, old: Snapshot, asked: Ask, before: Found = NOTHING) -> Found:
    """What is asked for, beside what was read before."""
    if not (asked.relations or asked.functions or asked.enums):
        return before
    parameters = [list(old.exposed), *(list(each) for each in (asked.relations, asked.functions, asked.enums))]
    relations, enums, functions = catalog.things(_run(cursor, catalog.changed_statement(), parameters), old.exposed)
    known = old.enums.keys()
    kept = {
        oid: enum
        for oid, enum in enums.items()
        if oid in known or enum.schema in old.exposed or oid not in asked.enums or _used(oid, relations)
    }
    return Found({**before.relations, **relations}, {**before.enums, **kept}, {**before.functions, **functions})


def _run(cursor: Any, query: str, parameters: Sequence[object]) -> list[Any]:
    """Planning costs more than running: the plan is kept, where the connection may keep anything."""
    rows: list[Any] = cursor.execute(query, parameters, prepare=cursor.connection.prepare_threshold is not None).fetchall()
    return rows


def _used(enum: int, relations: Any) -> bool:
    return any(column.enum == enum for relation in relations.values() for column in relation.columns)


def _granted(cursor: Any, old: Snapshot) -> set[int]:
    return {oid for (oid,) in cursor.execute(catalog.statement("granted"), [str(old.horizon)]).fetchall()}


def _above(cursor: Any, relations: Iterable[int]) -> set[int]:
    return {oid for (oid,) in _run(cursor, catalog.statement("above"), [list(relations)])} if relations else set()


def _dependents(cursor: Any, relations: Iterable[int], functions: Iterable[int]) -> tuple[set[int], set[int]]:
    rows = _run(cursor, catalog.statement("dependents"), [list(relations), list(functions)])
    return {oid for kind, oid in rows if kind == "relation"}, {oid for kind, oid in rows if kind == "function"}
