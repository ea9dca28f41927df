"""Upserts: ON CONFLICT, and how many of the rows were inserted.

Counting needs no right beyond the write: a transaction-local setting goes up for each row that is tried and down for each that
turns into an update.
"""

from __future__ import annotations

from healing.gateway.names import Names
from healing.gateway.request import Request
from healing.gateway.sqltext import ident
from healing.gateway.tree import WRITTEN
from schema_monitor.core.snapshot import Column, Relation

_SETTING = "'mendgate.inserted'"
RESET = f"zero AS MATERIALIZED (SELECT set_config({_SETTING}, '0', true))"
"""The first common table expression of a counted upsert."""
INSERTED = f"CASE WHEN EXISTS (SELECT FROM {WRITTEN}) THEN current_setting({_SETTING})::int8 ELSE 0 END"
"""Where no row came back the setting may not have been touched."""


def count_by(step: int) -> str:
    """A test that is always true and moves the counter."""
    return f"set_config({_SETTING}, (current_setting({_SETTING})::int8 + {step})::text, true) IS NOT NULL"


def conflict_columns(request: Request, relation: Relation, names: Names) -> tuple[str, ...]:
    """The live columns that decide whether a row is there already; empty for none (a plain insert)."""
    if request.method == "PUT":
        return relation.primary_key
    if request.preferences.resolution is None:
        return ()
    if request.on_conflict is None:
        return relation.primary_key
    return tuple(names.column(relation, name, careful=True).name for name in request.on_conflict)


def merges(request: Request) -> bool:
    """Whether rows that are there are updated."""
    return request.method == "PUT" or request.preferences.resolution == "merge-duplicates"


def conflict_sql(request: Request, target: tuple[str, ...], columns: tuple[Column, ...]) -> str:
    """`` ON CONFLICT …``, or nothing. A merge sets every column that was sent; with none sent there is nothing to do."""
    if not target:
        return ""
    on = f" ON CONFLICT ({', '.join(map(ident, target))})"
    if not merges(request) or not columns:
        return f"{on} DO NOTHING"
    sets = ", ".join(f"{ident(column.name)} = EXCLUDED.{ident(column.name)}" for column in columns)
    return f"{on} DO UPDATE SET {sets} WHERE {count_by(-1)}"
