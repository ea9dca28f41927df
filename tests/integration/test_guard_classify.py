"""Errors that a real Postgres raises for a payload, read back to the key that caused them."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from healing.core.classify import misfit
from healing.core.types import Failure, Json, Kind, Operation, Row, Statement
from healing.core.values import json_text
from resilience_site.embedded import EmbeddedPostgres
from schema_monitor import catalog
from schema_monitor.core.snapshot import Relation

SCHEMA = """
CREATE TYPE mood AS ENUM ('happy', 'sad');
CREATE DOMAIN positive AS int CHECK (value > 0);
CREATE TABLE owner (id int PRIMARY KEY);
CREATE TABLE pet (
    id int PRIMARY KEY, name varchar(5), nick varchar(9), age int CHECK (age > 0), legs int2, mood mood,
    state text CHECK (state IN ('in', 'out')), price numeric(4,2), weight real, owner_id int REFERENCES owner, born date,
    seen timestamptz, chip uuid, toys int[], meta jsonb, rank positive, tame bool,
    need int NOT NULL DEFAULT 1, twice int GENERATED ALWAYS AS (age * 2) STORED, mask bit(3)
);
"""

CASES: list[tuple[Row, Kind, str]] = [
    ({"age": "1.0", "name": "1.0"}, Kind.INVALID_VALUE, "age"),
    ({"age": "", "chip": ""}, Kind.INVALID_VALUE, "age"),
    ({"chip": "x", "name": "x"}, Kind.INVALID_VALUE, "chip"),
    ({"mood": "Happy", "state": None}, Kind.UNKNOWN_LABEL, "mood"),
    ({"state": "In"}, Kind.UNKNOWN_LABEL, "state"),
    ({"name": "abcdef", "nick": "abcdef"}, Kind.TOO_LONG, "name"),
    ({"mask": "1111"}, Kind.TOO_LONG, "mask"),
    ({"legs": 99999, "age": 99999}, Kind.OUT_OF_RANGE, "legs"),
    ({"age": 99999999999}, Kind.OUT_OF_RANGE, "age"),
    ({"price": 123, "age": 123}, Kind.OUT_OF_RANGE, "price"),
    ({"weight": "1e50"}, Kind.OUT_OF_RANGE, "weight"),
    ({"born": "2024-02-30"}, Kind.INVALID_VALUE, "born"),
    ({"seen": 1704153600}, Kind.INVALID_VALUE, "seen"),
    ({"seen": "soon", "name": "soon"}, Kind.INVALID_VALUE, "seen"),
    ({"toys": "a,b"}, Kind.INVALID_VALUE, "toys"),
    ({"toys": 5}, Kind.INVALID_VALUE, "toys"),
    ({"toys": [1, "x"]}, Kind.INVALID_VALUE, "toys"),
    ({"meta": {"a": "x\0"}}, Kind.UNTRANSLATABLE, "meta"),
    ({"name": "a\0"}, Kind.UNTRANSLATABLE, "name"),
    ({"tame": "enabled"}, Kind.INVALID_VALUE, "tame"),
    ({"need": None}, Kind.MISSING_VALUE, "need"),
    ({"owner_id": 77}, Kind.MISSING_PARENT, "owner_id"),
    ({"age": -1}, Kind.CHECK, "age"),
    ({"rank": -1}, Kind.CHECK, "rank"),
    ({"twice": 1}, Kind.GENERATED, "twice"),
    ({"breed": "cat"}, Kind.UNKNOWN_COLUMN, "breed"),
]


@pytest.fixture(scope="module")
def pets(make_target: Callable[[], str], postgres: EmbeddedPostgres) -> Iterator[tuple[psycopg.Connection, Relation]]:
    with psycopg.connect(postgres.url(make_target()), autocommit=True) as connection:
        connection.execute(SCHEMA)
        snapshot = catalog.read_snapshot_sync(connection, ["public"])
        yield connection, next(r for r in snapshot.relations.values() if r.name == "pet")


def failure_of(connection: psycopg.Connection, relation: Relation, row: Row) -> Failure:
    """What Postgres says to the row, written as the gateway writes."""
    names = ", ".join(f'"{name}"' for name in row)
    known = {c.name: c.type for c in relation.columns}
    types = ", ".join(f'"{name}" {known.get(name, "text")}' for name in row)
    with pytest.raises(psycopg.Error) as raised, connection.transaction(force_rollback=True):
        connection.execute(f"INSERT INTO pet ({names}) SELECT {names} FROM json_to_recordset(%s::json) AS _({types})", (json_text([row]),))
    said = raised.value.diag
    return Failure(
        said.sqlstate or "", said.message_primary or "", said.message_detail, said.message_hint, said.column_name, said.constraint_name
    )


@pytest.mark.parametrize(("row", "kind", "column"), CASES, ids=lambda x: repr(x)[:40])
def test_the_key_that_caused_an_error_is_found(
    pets: tuple[psycopg.Connection, Relation], row: dict[str, Json], kind: Kind, column: str
) -> None:
    connection, relation = pets
    payload = {"id": 1, **row}
    found = misfit(failure_of(connection, relation, payload), Statement(Operation.INSERT, "public", "pet", (payload,)), relation)
    assert found is not None
    assert (found.kind, found.column) == (kind, column)
