"""Proof that names still mean what they meant when a write was healed: asked in the write's own transaction, after it took its lock.

A healed statement carries names that *we* chose from the cached catalog. If the cache is behind, such a name may be another column by
now, and the database would not object. Healthy statements carry the caller's names and pay nothing.
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog; values are quoted constants
from __future__ import annotations

from collections.abc import Iterable

from healing.gateway.target import quote_literal
from schema_monitor.core.snapshot import Relation


def identity_sql(relation: Relation, names: Iterable[str]) -> str:
    """An expression: whether each of these names is, right now, the column (by attnum) that ``relation`` says it is."""
    pairs = {(column.attnum, column.name) for name in names if (column := relation.column(name)) is not None}
    if not pairs:
        return "true"
    listed = ",".join(f"({attnum},{quote_literal(name)})" for attnum, name in sorted(pairs))
    return (
        f"((SELECT count(*) FROM pg_catalog.pg_attribute AS m WHERE m.attrelid = {relation.oid}"
        f" AND (m.attnum, m.attname::text) IN ({listed})) = {len(pairs)})"
    )
