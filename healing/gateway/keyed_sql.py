"""One statement for many requests by key: updates of a row each, upserts of a row each, or selects of a row each.

$1 is a JSON array with one object an entry: its columns, and for updates and selects the key under ``key_name(n)``. One record an entry,
in order; of reads it has nothing but ROW:

    ROW text|null  JSON of the row, where it is shown
    HIT bool       update: whether a row had the key; upsert: whether the row was inserted (else it was there and was updated)
    LOST bool      the row is there, and this entry did not get it: another entry of the statement did
    XID text, SAME bool    the transaction, and whether names mean what was meant (``same`` is the expression that proves it)
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog; values are in the parameter
from __future__ import annotations

import re
from collections.abc import Sequence

from healing.gateway.names import Names
from healing.gateway.rows_sql import ROWS
from healing.gateway.sqltext import compare_type, ident, qualified
from schema_monitor.core.snapshot import Column, Relation, Snapshot

ROW, HIT, LOST, XID, SAME = range(5)
_FLAG = "'mendgate.inserted'"
_ROWS = ident(ROWS)
ENTRY = "mendgate entry"
"""An entry's place among the others."""
_NUMBER = ident(ENTRY)
_BITS = {"int2": 16, "int4": 32, "int8": 64}
_INTEGER = re.compile(r"[+-]?[0-9]{1,19}")
_UUID = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_NO_KEY = ("json", "jsonb")
"""A filter's text is parsed as one of these; as an entry's it would be a JSON string."""


def key_name(number: int) -> str:
    """What an entry's object calls the n-th part of the key."""
    return f"mendgate key {number}"


def key_of(relation: Relation, filters: Sequence[str | None], names: Names, *, careful: bool = False) -> tuple[Column, ...]:
    """The primary key's columns in the order of ``filters``, where these are an ``eq`` for each and nothing else; () where not, or where
    texts cannot stand for it."""
    named = [name for name in filters if name is not None]
    if len(named) != len(filters) or sorted(named) != sorted(relation.primary_key):
        return ()
    found = [column for name in named if (column := names.find_column(relation, name, careful=careful)) is not None]
    sound = [column for column in found if column.enum is None and not column.array and column.base not in _NO_KEY]
    return tuple(sound) if len(sound) == len(filters) else ()


def are_keys(values: Sequence[str], key: Sequence[Column]) -> bool:
    """Whether these texts can be values of the key, as far as it is easily told. One that is none would have the whole batch halved
    again and again, so it goes the ordinary way; so does an odd spelling."""
    return all([_is_value(value, column.base) for value, column in zip(values, key, strict=True)])


def _is_value(text: str, base: str) -> bool:
    if base in _BITS:
        most = 1 << (_BITS[base] - 1)
        return _INTEGER.fullmatch(text) is not None and -most <= int(text) < most
    return base != "uuid" or _UUID.fullmatch(text) is not None


def update_sql(relation: Relation, key: tuple[Column, ...], columns: tuple[Column, ...], shown: str, same: str, snapshot: Snapshot) -> str:
    """UPDATE of one row an entry, found by ``key``."""
    table, alias = qualified(relation.schema, relation.name), ident(relation.name)
    entries = f"SELECT *{_entries(key, columns, snapshot)}"
    sets = ", ".join(f"{ident(column.name)} = {_ROWS}.{ident(column.name)}" for column in columns)
    found = _found(alias, key)
    row = f", (SELECT row_to_json(r.*)::text FROM (SELECT {shown}) r) AS row" if shown else ", NULL::text AS row"
    write = f"UPDATE {table} AS {alias} SET {sets} FROM {_ROWS} WHERE {found} RETURNING {_ROWS}.{_NUMBER}{row}"
    lost = f"CASE WHEN w.{_NUMBER} IS NULL THEN EXISTS (SELECT FROM {table} AS {alias} WHERE {found}) ELSE false END"
    return (
        f"WITH {_ROWS} AS MATERIALIZED ({entries}), w AS ({write}) SELECT w.row, w.{_NUMBER} IS NOT NULL AS hit, {lost} AS lost,"
        f" pg_current_xact_id()::text AS xid, {same} AS same"
        f" FROM {_ROWS} LEFT JOIN w ON w.{_NUMBER} = {_ROWS}.{_NUMBER} ORDER BY {_ROWS}.{_NUMBER}"
    )


def upsert_sql(relation: Relation, key: tuple[Column, ...], columns: tuple[Column, ...], shown: str, same: str) -> str:
    """INSERT of one row an entry, over the row that has its ``key``. A transaction-local flag is set when a row is tried and cleared when
    it turns into an update, so that telling the two apart needs no right beyond the write."""
    table, alias = qualified(relation.schema, relation.name), ident(relation.name)
    names = ", ".join(ident(column.name) for column in columns)
    typed = ", ".join(f"{ident(column.name)} {column.type}" for column in columns)
    sets = ", ".join(f"{ident(column.name)} = EXCLUDED.{ident(column.name)}" for column in columns)
    row = f"(SELECT row_to_json(r.*)::text FROM (SELECT {shown}) r) AS row" if shown else "NULL::text AS row"
    return (
        f"INSERT INTO {table} AS {alias} ({names}) SELECT {names} FROM json_to_recordset($1::json) AS {_ROWS}({typed}) WHERE {_flag('1')}"
        f" ON CONFLICT ({', '.join(ident(column.name) for column in key)}) DO UPDATE SET {sets} WHERE {_flag('0')}"
        f" RETURNING {row}, current_setting({_FLAG}) = '1' AS hit, false AS lost, pg_current_xact_id()::text AS xid,"
        f" {same} AS same"
    )


def select_sql(relation: Relation, key: tuple[Column, ...], shown: str, snapshot: Snapshot) -> str:
    """The row of each entry, found by ``key``."""
    table, alias = qualified(relation.schema, relation.name), ident(relation.name)
    row = f"(SELECT row_to_json(r.*)::text FROM (SELECT {shown} FROM {table} AS {alias} WHERE {_found(alias, key)}) r) AS row"
    return f"SELECT {row}{_entries(key, (), snapshot)} ORDER BY {_ROWS}.{_NUMBER}"


def _found(alias: str, key: tuple[Column, ...]) -> str:
    return " AND ".join(f"{alias}.{ident(column.name)} = {_ROWS}.{ident(key_name(n))}" for n, column in enumerate(key))


def _entries(key: tuple[Column, ...], columns: tuple[Column, ...], snapshot: Snapshot) -> str:
    """`` FROM`` the entries, numbered, as ``b``."""
    keys = [f"{ident(key_name(n))} {compare_type(column, snapshot) or 'text'}" for n, column in enumerate(key)]
    names = [*(ident(key_name(n)) for n in range(len(key))), *(ident(column.name) for column in columns)]
    typed = ", ".join([*keys, *(f"{ident(column.name)} {column.type}" for column in columns)])
    return f" FROM ROWS FROM (json_to_recordset($1::json) AS ({typed})) WITH ORDINALITY AS {_ROWS}({', '.join(names)}, {_NUMBER})"


def _flag(value: str) -> str:
    return f"set_config({_FLAG}, '{value}', true) IS NOT NULL"
