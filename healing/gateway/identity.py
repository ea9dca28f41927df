"""Proof that names still mean what they meant when a write was healed: asked in the write's own transaction, after it took its lock.

A healed statement carries names that *we* chose from the cached catalog. If the cache is behind, such a name may be another column by
now, or the name that the caller sent may be a column again, and the database would not object. Healthy statements carry the caller's
names and pay nothing.
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog; values are quoted constants
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
    if not (known or absent):
        return "true"
    asked = ",".join(quote_literal(name) for name in sorted(known.keys() | absent))
    same = ",".join(f"({attnum},{quote_literal(name)})" for name, attnum in sorted(known.items())) or "(0,'')"
    return (
        f"(SELECT count(*) = {len(known)} AND count(*) FILTER (WHERE (m.attnum, m.attname::text) IN ({same})) = {len(known)}"
        f" FROM pg_catalog.pg_attribute AS m WHERE m.attrelid = {relation.oid} AND m.attname IN ({asked}))"
    )
