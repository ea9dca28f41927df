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
from schema_monitor.core.patch import Ask, Found, ask, patched, seen_elsewhere, wider
from schema_monitor.core.snapshot import Snapshot


def read_changed(conn: Any, old: Snapshot, entries: Sequence[Entry]) -> Snapshot | None:
    """The catalog as it is, given how it was and what the log tells since; None where it must be read whole."""
    asked = ask(entries, old)
    if asked is None:
        return None
    with catalog.pinned_sync(conn), RawCursor(conn) as cursor:
        place = catalog.read_place(cursor, old.exposed)
        if asked.granted:
            asked = wider(asked, _granted(cursor, old) & old.relations.keys())
        found = _read(cursor, old, asked)
        moved = seen_elsewhere(old, asked, found)
        if moved or asked.sequences or asked.renamed_functions:
            relations, functions = _dependents(cursor, moved | asked.sequences, asked.renamed_functions)
            asked = wider(asked, relations & old.relations.keys(), functions & old.functions.keys())
            found = _read(cursor, old, asked)
    return patched(old, place, asked, found)


def _read(cursor: Any, old: Snapshot, asked: Ask) -> Found:
    parameters = [list(old.exposed), *(list(each) for each in (asked.relations, asked.functions, asked.enums))]
    relations, enums, functions = catalog.things(cursor.execute(catalog.changed_statement(), parameters).fetchall())
    known = old.enums.keys()
    kept = {
        oid: enum
        for oid, enum in enums.items()
        if oid in known or enum.schema in old.exposed or oid not in asked.enums or _used(oid, relations)
    }
    return Found(relations, kept, functions)


def _used(enum: int, relations: Any) -> bool:
    return any(column.enum == enum for relation in relations.values() for column in relation.columns)


def _granted(cursor: Any, old: Snapshot) -> set[int]:
    return {oid for (oid,) in cursor.execute(catalog.statement("granted"), [str(old.horizon)]).fetchall()}


def _dependents(cursor: Any, relations: Iterable[int], functions: Iterable[int]) -> tuple[set[int], set[int]]:
    rows = cursor.execute(catalog.statement("dependents"), [list(relations), list(functions)]).fetchall()
    return {oid for kind, oid in rows if kind == "relation"}, {oid for kind, oid in rows if kind == "function"}
