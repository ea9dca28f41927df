"""Proof that the names in a write still mean what they meant when it was planned: asked by the write itself, once it has its lock.

Names come from the cached catalog. If that is behind, a name may be another column by now (renamed away and taken over in one
migration), or a former name that was healed may be a column again, and the database would not object. So every write that names
columns asks; where the answer is no, nothing of it stays, and it is decided anew with the catalog read again.
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog; values are quoted constants
from __future__ import annotations

from collections.abc import Iterable

from healing.gateway.target import quote_literal
from schema_monitor.core.snapshot import Relation

_FEW = 8
"""From so many names on a look into the table is cheaper than one into the caches for each."""
_NAMEDATALEN = 64
"""No column has a name of so many bytes or more."""


def identity_sql(relation: Relation, names: Iterable[str], unknown: Iterable[str] = ()) -> str:
    """An expression: whether each of these names is, right now, the column (by attnum) that ``relation`` says it is, and none of
    ``unknown`` is a column at all."""
    known = {column.name: column.attnum for name in names if (column := relation.column(name)) is not None}
    absent = {name for name in unknown if relation.column(name) is None and "\0" not in name and len(name.encode()) < _NAMEDATALEN}
    pairs = sorted((attnum, name) for name, attnum in known.items())
    tests = [_are(relation, pairs)] if len(pairs) > _FEW else [_is(relation, *pair) for pair in pairs]
    tests += [_is_nothing(relation, name) for name in sorted(absent)]
    return f"({' AND '.join(tests)})" if tests else "true"


def _is(relation: Relation, attnum: int, name: str) -> str:
    """From the catalog caches, which the write's lock has brought up to date: a look into the table takes three times as long."""
    address = ",".join(quote_literal(part) for part in (relation.schema, relation.name, name))
    return f"(SELECT (pg_catalog.pg_identify_object_as_address(1259, {relation.oid}, {attnum})).object_names = ARRAY[{address}])"


def _are(relation: Relation, pairs: list[tuple[int, str]]) -> str:
    listed = ",".join(f"({attnum},{quote_literal(name)})" for attnum, name in pairs)
    table = "pg_catalog.pg_attribute AS m"
    same = f"m.attrelid = {relation.oid} AND (m.attnum, m.attname::text) IN ({listed})"
    return f"(SELECT count(*) = {len(pairs)} FROM {table} WHERE {same})"


def _is_nothing(relation: Relation, name: str) -> str:
    table = "pg_catalog.pg_attribute AS m"
    return f"NOT EXISTS (SELECT FROM {table} WHERE m.attrelid = {relation.oid} AND m.attname = {quote_literal(name)})"
