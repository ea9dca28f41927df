"""One statement for many requests by key: updates of a row each, upserts of a row each, or selects of a row each.

$1 is a JSON array with one object an entry: its columns, and for updates and selects the key under ``key_name(n)``. One record an entry,
in order:

    hit bool       update: whether a row had the key; upsert: whether the row was inserted (else it was there and was updated)
    lost bool      the row is there, and this entry did not get it: another entry of the statement did
    row text|null  JSON of the row, where it is shown
    xid text, same bool    as in ``plan_write``; ``same`` here is the expression that proves it
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog; values are in the parameter
from __future__ import annotations

from healing.gateway.sqltext import compare_type, ident, qualified
from schema_monitor.core.snapshot import Column, Relation, Snapshot

_FLAG = "'mendgate.inserted'"


def key_name(number: int) -> str:
    """What an entry's object calls the n-th part of the key."""
    return f"mendgate key {number}"


def update_sql(relation: Relation, key: tuple[Column, ...], columns: tuple[Column, ...], shown: str, same: str, snapshot: Snapshot) -> str:
    """UPDATE of one row an entry, found by ``key``."""
    table, alias = qualified(relation.schema, relation.name), ident(relation.name)
    entries = f"SELECT *{_entries(key, columns, snapshot)}"
    sets = ", ".join(f"{ident(column.name)} = b.{ident(column.name)}" for column in columns)
    found = _found(alias, key)
    row = f", (SELECT row_to_json(r)::text FROM (SELECT {shown}) r) AS row" if shown else ", NULL::text AS row"
    write = f"UPDATE {table} AS {alias} SET {sets} FROM b WHERE {found} RETURNING b.ordinality{row}"
    lost = f"CASE WHEN w.ordinality IS NULL THEN EXISTS (SELECT FROM {table} AS {alias} WHERE {found}) ELSE false END"
    return (
        f"WITH b AS MATERIALIZED ({entries}), w AS ({write}) SELECT w.ordinality IS NOT NULL AS hit, {lost} AS lost, w.row,"
        f" pg_current_xact_id()::text AS xid, {same} AS same"
        " FROM b LEFT JOIN w ON w.ordinality = b.ordinality ORDER BY b.ordinality"
    )


def upsert_sql(relation: Relation, key: tuple[Column, ...], columns: tuple[Column, ...], shown: str, same: str) -> str:
    """INSERT of one row an entry, over the row that has its ``key``. A transaction-local flag is set when a row is tried and cleared when
    it turns into an update, so that telling the two apart needs no right beyond the write."""
    table, alias = qualified(relation.schema, relation.name), ident(relation.name)
    names = ", ".join(ident(column.name) for column in columns)
    typed = ", ".join(f"{ident(column.name)} {column.type}" for column in columns)
    sets = ", ".join(f"{ident(column.name)} = EXCLUDED.{ident(column.name)}" for column in columns)
    row = f"(SELECT row_to_json(r)::text FROM (SELECT {shown}) r) AS row" if shown else "NULL::text AS row"
    return (
        f"INSERT INTO {table} AS {alias} ({names}) SELECT {names} FROM json_to_recordset($1::json) AS b({typed}) WHERE {_flag('1')}"
        f" ON CONFLICT ({', '.join(ident(column.name) for column in key)}) DO UPDATE SET {sets} WHERE {_flag('0')}"
        f" RETURNING current_setting({_FLAG}) = '1' AS hit, false AS lost, {row}, pg_current_xact_id()::text AS xid,"
        f" {same} AS same"
    )


def select_sql(relation: Relation, key: tuple[Column, ...], shown: str, snapshot: Snapshot) -> str:
    """The row of each entry, found by ``key``."""
    table, alias = qualified(relation.schema, relation.name), ident(relation.name)
    row = f"(SELECT row_to_json(r)::text FROM (SELECT {shown} FROM {table} AS {alias} WHERE {_found(alias, key)}) r) AS row"
    return f"SELECT {row}, NULL::text AS xid, true AS same{_entries(key, (), snapshot)} ORDER BY b.ordinality"


def _found(alias: str, key: tuple[Column, ...]) -> str:
    return " AND ".join(f"{alias}.{ident(column.name)} = b.{ident(key_name(n))}" for n, column in enumerate(key))


def _entries(key: tuple[Column, ...], columns: tuple[Column, ...], snapshot: Snapshot) -> str:
    """`` FROM`` the entries, numbered, as ``b``."""
    keys = [f"{ident(key_name(n))} {compare_type(column, snapshot) or 'text'}" for n, column in enumerate(key)]
    names = [*(ident(key_name(n)) for n in range(len(key))), *(ident(column.name) for column in columns)]
    typed = ", ".join([*keys, *(f"{ident(column.name)} {column.type}" for column in columns)])
    return f" FROM ROWS FROM (json_to_recordset($1::json) AS ({typed})) WITH ORDINALITY AS b({', '.join(names)}, ordinality)"


def _flag(value: str) -> str:
    return f"set_config({_FLAG}, '{value}', true) IS NOT NULL"
