"""An exported schema, run in an empty database, is the same schema."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from msgspec.structs import replace

from resilience_site.embedded import EmbeddedPostgres
from resilience_site.embedded_state import OWNER
from schema_monitor import catalog
from schema_monitor.core.diff import diff
from schema_monitor.core.export import Export, export
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.definitions import read_definitions

EVERYTHING = Path(__file__).with_name("everything.sql").read_text()
SCHEMAS = ("public", "Büro")


@pytest.fixture
def empty(postgres: EmbeddedPostgres, databases: tuple[str, str]) -> Iterator[psycopg.Connection]:
    """A connection to an empty database."""
    name = f"copy_{databases[1]}"
    with psycopg.connect(postgres.url("postgres"), autocommit=True) as server:
        server.execute(f"CREATE DATABASE {name} TEMPLATE template0")
    with psycopg.connect(postgres.url(name, OWNER), autocommit=True) as connection:
        yield connection


def exported(owner: psycopg.Connection, *, complete: bool = True) -> tuple[Snapshot, Export]:
    snapshot = catalog.read_snapshot_sync(owner, SCHEMAS)
    return snapshot, export(snapshot, read_definitions(owner, snapshot) if complete else None)


def rebuilt(script: Export, empty: psycopg.Connection) -> Snapshot:
    empty.execute(script.sql("a test"))
    return catalog.read_snapshot_sync(empty, SCHEMAS)


def test_everything_that_the_export_claims_to_hold_comes_back_without_a_difference(
    owner: psycopg.Connection, empty: psycopg.Connection
) -> None:
    owner.execute(EVERYTHING)
    snapshot, script = exported(owner)
    copy = rebuilt(script, empty)
    assert [change.sentence for change in diff(replace(snapshot, monitor=copy.monitor), copy) if change.kind != "scope_changed"] == []
    again = export(copy, read_definitions(empty, copy))
    assert sorted(p.sql for p in again.pieces if "dropped" not in p.sql) == sorted(p.sql for p in script.pieces)


def test_a_snapshot_alone_rebuilds_tables_and_says_what_it_cannot(owner: psycopg.Connection, empty: psycopg.Connection) -> None:
    owner.execute("CREATE TYPE mood AS ENUM ('a'); CREATE DOMAIN score AS numeric(5,1) CHECK (VALUE > 0)")
    owner.execute("CREATE TABLE t (id serial PRIMARY KEY, m mood, s score, v varchar(3) CHECK (v <> 'VALUE'), u int)")
    owner.execute("CREATE UNIQUE INDEX one ON t (u); CREATE VIEW v AS SELECT id FROM t; GRANT SELECT ON t TO anon")
    owner.execute("CREATE FUNCTION f(x int) RETURNS int LANGUAGE sql AS 'SELECT 1'")
    snapshot, script = exported(owner, complete=False)
    changes = diff(replace(snapshot, monitor=""), rebuilt(script, empty))
    assert {change.kind for change in changes} == {"scope_changed", "table_removed", "function_removed"}
    text = script.sql("a test")
    assert "-- view public.v (id integer): its query is not stored" in text
    assert "-- function public.f(x integer) returns integer: its body is not stored" in text
    assert "--   queries of views, bodies of functions, and so triggers" in text
