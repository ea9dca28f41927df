"""Names that lived too briefly for any capture: the DDL log knows them, so captures and running gateways do."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import msgspec
import psycopg
import pytest
from django.conf import LazySettings

from schema_monitor import ddl_log, versions
from schema_monitor.capture import capture
from schema_monitor.core.lineage import Ambiguous, Gone, Lineage, Live, Renamed, Reused
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.models import SchemaChange, SchemaVersion
from tests.gateway_process import Gateway
from tests.waiting import HANGS


@pytest.fixture
def target(settings: LazySettings, target_url: str, owner: psycopg.Connection) -> psycopg.Connection:
    """The owner's connection to the target that captures read."""
    settings.MENDGATE = msgspec.structs.replace(settings.MENDGATE, target_database_url=target_url, exposed_schemas=("public",))
    return owner


def stored() -> tuple[Snapshot, Lineage]:
    version = versions.latest()
    assert version is not None
    return version[1], version[2]


def column(name: str, table: str = "t") -> Any:
    snapshot, lineage = stored()
    (relation,) = snapshot.named("public", table)
    return lineage.resolve_column(relation, name)


def relation(name: str) -> Any:
    snapshot, lineage = stored()
    return lineage.resolve_relation(snapshot, "public", name)


def run(target: psycopg.Connection, *commands: str) -> None:
    for command in commands:
        target.execute(command)


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("captured_before", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
def test_a_column_made_and_renamed_between_two_captures_is_known_exactly(
    target: psycopg.Connection, captured_before: bool, at_once: bool
) -> None:
    if captured_before:
        capture("start")
    commands = ("CREATE TABLE t (id int, a text)", "ALTER TABLE t RENAME a TO b", "ALTER TABLE t RENAME b TO c")
    if at_once:
        with target.transaction():
            run(target, *commands)
    else:
        run(target, *commands)
    capture("command")
    for name in ("a", "b"):
        found = column(name)
        assert isinstance(found, Renamed) and found.value.name == "c"


@pytest.mark.django_db(transaction=True)
def test_drop_and_add_between_two_captures_is_no_rename(target: psycopg.Connection) -> None:
    run(target, "CREATE TABLE t (a text)")
    capture("start")
    run(
        target,
        "ALTER TABLE t RENAME a TO b",
        "ALTER TABLE t ADD a int",
        "ALTER TABLE t DROP a",
        "ALTER TABLE t ADD x int",
        "ALTER TABLE t DROP x",
    )
    capture("command")
    assert isinstance(column("a"), Ambiguous)
    assert isinstance(column("x"), Gone)
    run(target, "ALTER TABLE t ADD a int")
    capture("command")
    assert isinstance(column("a"), Reused)


@pytest.mark.django_db(transaction=True)
def test_names_of_tables_between_two_captures(target: psycopg.Connection) -> None:
    capture("start")
    run(
        target,
        "CREATE TABLE first (id int)",
        "ALTER TABLE first RENAME TO second",
        "ALTER TABLE second RENAME TO third",
        "CREATE TABLE brief (id int)",
        "DROP TABLE brief",
        "CREATE SCHEMA apart",
        "CREATE TABLE apart.t (a int)",
        "ALTER TABLE apart.t RENAME a TO b",
        "ALTER TABLE apart.t SET SCHEMA public",
        "ALTER TABLE t RENAME TO u",
    )
    capture("command")
    for name, now in (("first", "third"), ("second", "third"), ("t", "u")):
        found = relation(name)
        assert isinstance(found, Renamed) and found.value.name == now
    assert isinstance(relation("brief"), Gone)
    assert isinstance(column("a", "u"), Renamed)


@pytest.mark.django_db(transaction=True)
def test_labels_and_schemas_between_two_captures(target: psycopg.Connection, settings: LazySettings) -> None:
    settings.MENDGATE = msgspec.structs.replace(settings.MENDGATE, exposed_schemas=("public", "young"))
    capture("start")
    run(
        target,
        "CREATE TYPE mood AS ENUM ('sad', 'glad')",
        "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
        "ALTER TYPE mood RENAME VALUE 'blue' TO 'low'",
        "CREATE TABLE t (m mood)",
        "CREATE SCHEMA older",
        "CREATE TABLE older.x (a int)",
        "ALTER SCHEMA older RENAME TO young",
    )
    capture("command")
    snapshot, lineage = stored()
    (enum,) = snapshot.enums.values()
    for name in ("sad", "blue"):
        found = lineage.resolve_label(enum, name)
        assert isinstance(found, Renamed) and found.value.name == "low"
    assert isinstance(lineage.resolve_label(enum, "glad"), Live)


@pytest.mark.django_db(transaction=True)
def test_what_was_rolled_back_was_never_a_name(target: psycopg.Connection, owner_url: str) -> None:
    capture("start")
    with psycopg.connect(owner_url) as other:
        other.execute("CREATE TABLE t (a int)")
        other.execute("SAVEPOINT s")
        other.execute("ALTER TABLE t RENAME a TO wrong")
        other.execute("ROLLBACK TO s")
        other.execute("ALTER TABLE t RENAME a TO b")
        other.commit()
        other.execute("ALTER TABLE t RENAME b TO wrong")
        other.rollback()
    capture("command")
    assert isinstance(column("a"), Renamed)
    assert column("wrong").__class__.__name__ == "Unknown"


@pytest.mark.django_db(transaction=True)
def test_a_slow_transaction_is_not_missed_by_captures_in_between(target: psycopg.Connection, owner_url: str) -> None:
    """Its rows have smaller ids and an older xid than what was consumed before it committed."""
    run(target, "CREATE TABLE t (a int)", "CREATE TABLE other (a int)")
    capture("start")
    with psycopg.connect(owner_url) as slow:
        slow.execute("ALTER TABLE t RENAME a TO b")
        slow.execute("ALTER TABLE t RENAME b TO c")
        run(target, "ALTER TABLE other RENAME a TO b", "ALTER TABLE other RENAME b TO c")
        capture("command")
        assert isinstance(column("b", "other"), Renamed)
        slow.commit()
    capture("command")
    assert isinstance(column("b"), Renamed)
    before = SchemaVersion.objects.latest("epoch").horizon
    run(target, "CREATE TABLE more (a int)")
    capture("command")
    assert SchemaVersion.objects.latest("epoch").horizon > before


@pytest.mark.django_db(transaction=True)
def test_a_restored_log_speaks_of_other_oids(target: psycopg.Connection) -> None:
    run(target, "CREATE TABLE t (a int)", "ALTER TABLE t RENAME a TO b", "UPDATE mendgate.ddl_log SET system = '1'")
    capture("command")
    assert column("a").__class__.__name__ == "Unknown"


@pytest.mark.django_db(transaction=True)
def test_changes_say_who_made_them(target: psycopg.Connection, owner_url: str) -> None:
    run(target, "CREATE TABLE t (a int)", "CREATE TABLE u (a int)", "GRANT ALL ON t TO anon")
    capture("start")
    with psycopg.connect(owner_url, autocommit=True, application_name="psql of somebody") as somebody:
        somebody.execute("ALTER TABLE t RENAME a TO b")
    target.execute("SET application_name = 'migrations'")
    run(target, "ALTER TABLE u RENAME a TO b", "ALTER TABLE u ADD c int")
    capture("command")
    who = {(c.relation, c.kind): (c.tag, c.usr, c.app) for c in SchemaChange.objects.all()}
    assert who == {
        ("t", "column_renamed"): ("ALTER TABLE", "postgres", "psql of somebody"),
        ("u", "column_renamed"): ("ALTER TABLE", "postgres", "migrations"),
        ("u", "column_added"): ("ALTER TABLE", "postgres", "migrations"),
    }


@pytest.mark.django_db(transaction=True)
def test_old_rows_are_pruned(target: psycopg.Connection, target_url: str) -> None:
    run(target, "CREATE TABLE t (a int)", "UPDATE mendgate.ddl_log SET at = now() - interval '31 days'", "CREATE TABLE u (a int)")
    with psycopg.connect(target_url, autocommit=True) as gateway:
        ddl_log.prune_sync(gateway)
    assert target.execute("SELECT ident FROM mendgate.ddl_log").fetchall() == [("public.u",)]


# A running gateway, without a watcher: only the log tells it.


@pytest.fixture
def client(gateway: Gateway) -> Iterator[httpx.Client]:
    gateway.manage("capture_schema")
    with gateway.client() as client:
        yield client


def eventually(ask: Callable[[], Any], wanted: Any) -> None:
    until = time.monotonic() + HANGS
    while (got := ask()) != wanted:
        assert time.monotonic() < until, f"{got!r} instead of {wanted!r}"
        time.sleep(0.005)


def test_a_running_gateway_knows_a_name_that_nobody_wrote_or_captured(gateway: Gateway, client: httpx.Client) -> None:
    gateway.sql("CREATE TABLE t (id serial PRIMARY KEY, a text)")
    gateway.sql("ALTER TABLE t RENAME a TO b; ALTER TABLE t RENAME TO u")
    eventually(lambda: client.post("/rest/v1/t", json={"a": "x"}).status_code, 201)
    assert gateway.sql("SELECT b FROM u") == [{"b": "x"}]
    gateway.sql("CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE m (m mood)")
    gateway.sql("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'")
    eventually(lambda: client.post("/rest/v1/m", json={"m": "sad"}).status_code, 201)


def test_a_gateway_that_lost_its_connection_catches_up(gateway: Gateway, client: httpx.Client) -> None:
    gateway.sql("CREATE TABLE t (id serial PRIMARY KEY, a text)")
    eventually(lambda: client.post("/rest/v1/t", json={"a": "x"}).status_code, 201)
    gateway.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mendgate follower'")
    gateway.sql("ALTER TABLE t RENAME a TO b")
    gateway.sql("ALTER TABLE t RENAME b TO c")
    eventually(lambda: client.post("/rest/v1/t", json={"b": "y"}).status_code, 201)
    assert [row["c"] for row in gateway.sql("SELECT c FROM t ORDER BY id")][-1] == "y"


def test_a_stored_version_from_before_does_not_undo_what_the_log_told(gateway: Gateway, client: httpx.Client) -> None:
    gateway.sql("CREATE TABLE t (id serial PRIMARY KEY, a text)")
    eventually(lambda: client.post("/rest/v1/t", json={"a": "x"}).status_code, 201)
    gateway.control("SELECT pg_notify('mendgate_snapshot', 'schema:1')")
    gateway.sql("ALTER TABLE t RENAME a TO b")
    gateway.sql("ALTER TABLE t RENAME b TO c")
    for _ in range(5):
        gateway.control("SELECT pg_notify('mendgate_snapshot', 'schema:1')")
        eventually(lambda: client.post("/rest/v1/t", json={"b": "y"}).status_code, 201)
    gateway.manage("capture_schema")
    assert client.post("/rest/v1/t", json={"b": "y"}).status_code == 201
    gateway.sql("DROP TABLE t")
    eventually(lambda: client.post("/rest/v1/t", json={"b": "y"}).status_code, 404)
