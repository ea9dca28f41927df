"""Proof that names still mean what they meant when a write was healed: asked in the write's own transaction, after it took its lock.

A healed statement carries names that *we* chose from the cached catalog. If the cache is behind, such a name may be another column by
now, or the name that the caller sent may be a column again, and the database would not object. Healthy statements carry the caller's
names and pay nothing.
"""


from __future__ import annotations

from collections.abc import Iterable

from healing.gateway.target import quote_literal
from schema_monitor.core.snapshot import Relation

_NAMEDATALEN = 64
"""No column has a name of so many bytes or more."""


def identity_sql(relation: Relation, names: Iterable[str], unknown: Iterable[str] = ()) -> str:
    """An expression: whether each of these names is, right now, the column (by attnum) that ``relation`` says it is, and none of
    ``unknown`` is a column at all."""
    known = {column.name: column.attnum for name in names if (column := relation.column(name)) is not None}
    absent = {name for name in unknown if relation.column(name) is None and "\0" not in name and len(name.encode()) < _NAMEDATALEN}
    tests = [_is(relation, attnum, name) for name, attnum in sorted(known.items())]
    tests += [_is_nothing(relation, name) for name in sorted(absent)]
    return f"({' AND '.join(tests)})" if tests else "true"


def _is(relation: Relation, attnum: int, name: str) -> str:
    """From the catalog caches, which the write's lock has brought up to date: a look into the table takes three times as long."""
    address = ",".join(quote_literal(part) for part in (relation.schema, relation.name, name))
    return f"(SELECT (pg_catalog.pg_identify_object_as_address(1259, {relation.oid}, {attnum})).object_names = ARRAY[{address}])"


def _is_nothing(relation: Relation, name: str) -> str:
    table = "pg_catalog.pg_attribute AS m"
    return f"NOT EXISTS (SELECT FROM {table} WHERE m.attrelid = {relation.oid} AND m.attname = {quote_literal(name)})"
