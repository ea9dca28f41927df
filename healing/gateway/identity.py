"""Proof that a write's names still mean what they meant when it was planned: asked by the write itself, once it has its lock.

Names come from the cached catalog. If that is behind, a name may be another table or column by now (renamed away and taken over in one
migration), a column may have another type (and Postgres would round to it in silence), or a former name that was healed may be a column
again; the database would not object. So every write asks; where the answer is no, nothing of it stays, and it is decided anew with the
catalog read again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from healing.gateway.target import quote_literal
from schema_monitor.core.snapshot import Column, Relation

_NAMEDATALEN = 64
"""No column has a name of so many bytes or more."""
_QUALIFIED = re.compile(r'(?:"(?:[^"]|"")+"|\w+)\.(.+)', re.DOTALL)


def identity_sql(relation: Relation, names: Iterable[str], unknown: Iterable[str] = (), *, untouched: bool = False) -> str:
    """An expression: whether the table is, right now, the one (by oid) that ``relation`` says it is, each of these names the column
    (by attnum) and of the type it says, none of ``unknown`` a column at all, and with ``untouched`` no trigger there that fires on
    INSERT."""
    known = {name: column for name in names if (column := relation.column(name)) is not None}
    absent = {name for name in unknown if relation.column(name) is None and "\0" not in name and len(name.encode()) < _NAMEDATALEN}
    tests = [_is_named(relation)]
    tests += [_are(relation, [known[name] for name in sorted(known)], sorted(absent))] if known or absent else []
    tests += [_has_no_trigger(relation)] if untouched else []
    return f"({' AND '.join(tests)})"


def _is_named(relation: Relation) -> str:
    """From the catalog caches, which the write's lock has brought up to date."""
    address = f"{quote_literal(relation.schema)},{quote_literal(relation.name)}"
    return f"(SELECT (pg_catalog.pg_identify_object_as_address(1259, {relation.oid}, 0)).object_names = ARRAY[{address}])"


def _are(relation: Relation, columns: list[Column], absent: list[str]) -> str:
    """One look at the relation's columns: these are what they were, and none has a name of ``absent``."""
    meant = ",".join(
        f"({column.attnum},{quote_literal(column.name)},{quote_literal(text)})" for column in columns for text in _texts(column)
    )
    found = "(m.attnum, m.attname::text, pg_catalog.format_type(m.atttypid, m.atttypmod))"
    of = f"FROM pg_catalog.pg_attribute AS m WHERE m.attrelid = {relation.oid}"
    if not absent:
        return f"(SELECT count(*) = {len(columns)} {of} AND {found} IN ({meant}))"
    tests = [f"count(*) FILTER (WHERE {found} IN ({meant})) = {len(columns)}"] if columns else []
    tests.append(f"count(*) FILTER (WHERE m.attname IN ({','.join(map(quote_literal, absent))})) = 0")
    return f"(SELECT {' AND '.join(tests)} {of})"


def _texts(column: Column) -> tuple[str, ...]:
    """A type's name depends on the search path: with its schema, or without."""
    plain = _QUALIFIED.fullmatch(column.type)
    return (column.type,) if plain is None else (column.type, plain[1])


def _has_no_trigger(relation: Relation) -> str:
    fires = "NOT g.tgisinternal AND g.tgtype & 4 <> 0"
    return f"NOT EXISTS (SELECT FROM pg_catalog.pg_trigger AS g WHERE g.tgrelid = {relation.oid} AND {fires})"
