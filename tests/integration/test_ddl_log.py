"""The DDL log in the target: what it notes, for whom, and that a user's DDL never fails or waits because of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
import pytest
from psycopg import errors

from resilience_site import monitor_setup
from resilience_site.embedded import EmbeddedPostgres
from resilience_site.embedded_postgres import SETTINGS
from schema_monitor import install

Rows = Callable[..., list[tuple[Any, ...]]]


@pytest.fixture
def rows(owner: psycopg.Connection) -> Rows:
    """The log so far: some columns of it."""
    return lambda columns="tag, otype, ident": owner.execute(f"SELECT {columns} FROM mendgate.ddl_log ORDER BY id").fetchall()


def columns_of(row: tuple[Any, ...], oid: int) -> dict[str, str]:
    return row[0]["relations"][str(oid)]["columns"]


def oid_of(owner: psycopg.Connection, name: str) -> int:
    row = owner.execute("SELECT %s::regclass::oid::int8", [name]).fetchone()
    assert row
    return row[0]


def test_each_command_is_noted_with_the_names_as_they_are_after_it(owner: psycopg.Connection, rows: Rows) -> None:
    owner.execute("CREATE TABLE people (id int, mail text)")
    oid = oid_of(owner, "people")
    owner.execute("ALTER TABLE people RENAME mail TO email")
    owner.execute("ALTER TABLE people RENAME TO persons")
    owner.execute("ALTER TABLE persons DROP COLUMN email")
    owner.execute("DROP TABLE persons")
    noted = [(tag, dropped, names["relations"][str(oid)]) for tag, dropped, names in rows("tag, dropped, names")]
    place = {"schema": "public", "name": "persons"}
    assert noted == [
        ("CREATE TABLE", False, {"schema": "public", "name": "people", "columns": {"1": "id", "2": "mail"}}),
        ("ALTER TABLE", False, {"schema": "public", "name": "people", "columns": {"1": "id", "2": "email"}}),
        ("ALTER TABLE", False, {**place, "columns": {"1": "id", "2": "email"}}),
        ("ALTER TABLE", True, {**place, "columns": {"2": "email"}}),
        ("ALTER TABLE", False, {**place, "columns": {"1": "id"}}),
        ("DROP TABLE", True, {**place, "columns": {}}),
    ]


def test_a_rename_in_a_parent_is_noted_for_its_children(owner: psycopg.Connection, rows: Rows) -> None:
    owner.execute("CREATE TABLE p (id int, a text) PARTITION BY RANGE (id)")
    owner.execute("CREATE TABLE c (a text, id int)")
    owner.execute("ALTER TABLE p ATTACH PARTITION c FOR VALUES FROM (0) TO (9)")
    owner.execute("ALTER TABLE p RENAME a TO b")
    assert columns_of(rows("names")[-1], oid_of(owner, "c")) == {"1": "b", "2": "id"}


def test_labels_types_and_schemas_are_noted(owner: psycopg.Connection, rows: Rows) -> None:
    owner.execute("CREATE TYPE mood AS ENUM ('sad', 'glad')")
    owner.execute("ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'")
    (labels,) = [enum["labels"] for enum in rows("names")[-1][0]["enums"].values()]
    assert sorted(labels.values()) == ["blue", "glad"]
    owner.execute("CREATE TYPE pair AS (x int)")
    owner.execute("CREATE TABLE pairs OF pair")
    owner.execute("ALTER TYPE pair RENAME ATTRIBUTE x TO y CASCADE")
    assert columns_of(rows("names")[-1], oid_of(owner, "pairs")) == {"1": "y"}
    owner.execute("CREATE SCHEMA old")
    owner.execute("CREATE TABLE old.t (a int)")
    owner.execute("ALTER SCHEMA old RENAME TO young")
    (named,) = rows("names")[-1][0]["relations"].values()
    assert (named["schema"], named["name"]) == ("young", "t")


def test_parts_of_a_table_are_noted_as_the_table(owner: psycopg.Connection, rows: Rows) -> None:
    owner.execute("CREATE TABLE t (a int)")
    oid = str(oid_of(owner, "t"))
    before = len(rows())
    for command in (
        "CREATE UNIQUE INDEX i ON t (a)",
        "CREATE INDEX CONCURRENTLY j ON t (a)",
        "ALTER TABLE t ADD CONSTRAINT c CHECK (a > 0)",
        "CREATE POLICY p ON t USING (true)",
        "ALTER POLICY p ON t RENAME TO q",
        "DROP POLICY q ON t",
        "ALTER TABLE t DROP CONSTRAINT c",
        "CREATE RULE r AS ON DELETE TO t DO INSTEAD NOTHING",
        "COMMENT ON COLUMN t.a IS 'said'",
    ):
        owner.execute(command)
        assert oid in (rows("names")[-1][0] or {}).get("relations", {}), command
    assert len(rows()) >= before + 9


def test_nothing_is_noted_of_temporary_tables_refreshed_views_or_ourselves(owner: psycopg.Connection, rows: Rows) -> None:
    owner.execute("CREATE TEMP TABLE t (id serial PRIMARY KEY, a text)")
    owner.execute("ALTER TABLE t RENAME a TO b")
    owner.execute("DROP TABLE t")
    owner.execute("CREATE EXTENSION vector")
    owner.execute("CREATE TABLE mendgate.ours (id int)")
    owner.execute("DROP TABLE mendgate.ours")
    owner.execute("CREATE MATERIALIZED VIEW m AS SELECT 1 AS a")
    owner.execute("REFRESH MATERIALIZED VIEW m")
    assert {tag for (tag,) in rows("tag")} == {"CREATE EXTENSION", "CREATE MATERIALIZED VIEW"}


def test_what_is_rolled_back_leaves_nothing(owner: psycopg.Connection, rows: Rows, owner_url: str) -> None:
    with psycopg.connect(owner_url) as connection:
        connection.execute("CREATE TABLE t (a int)")
        connection.rollback()
        connection.execute("CREATE TABLE u (a int)")
        connection.execute("SAVEPOINT s")
        connection.execute("ALTER TABLE u RENAME a TO b")
        connection.execute("ROLLBACK TO SAVEPOINT s")
        connection.execute("ALTER TABLE u RENAME a TO c")
        connection.commit()
    assert [set(columns_of(row, oid_of(owner, "u")).values()) for row in rows("names")] == [{"a"}, {"c"}]


def test_a_role_without_rights_on_the_log_runs_ddl_that_is_noted_as_its_own(owner: psycopg.Connection, rows: Rows) -> None:
    owner.execute("CREATE SCHEMA AUTHORIZATION anon")
    with owner.transaction():
        owner.execute("SET LOCAL ROLE anon")
        owner.execute("SET LOCAL application_name = 'psql of somebody'")
        owner.execute("CREATE TABLE anon.mine (a int)")
    assert rows("usr, app, ident")[-1] == ("anon", "psql of somebody", "anon.mine")
    for forbidden in ("SELECT FROM mendgate.ddl_log", "INSERT INTO mendgate.ddl_log DEFAULT VALUES"):
        owner.execute("SET ROLE anon")
        with pytest.raises(errors.InsufficientPrivilege):
            owner.execute(forbidden)
        owner.execute("RESET ROLE")


def test_a_transaction_rings_once_and_what_is_rolled_back_never(owner: psycopg.Connection, owner_url: str) -> None:
    with psycopg.connect(owner_url, autocommit=True) as listener, psycopg.connect(owner_url) as other:
        listener.execute("LISTEN mendgate_ddl")
        other.execute("CREATE TABLE t (a int)")
        other.rollback()
        other.execute("CREATE TABLE t (a serial PRIMARY KEY)")
        other.execute("ALTER TABLE t RENAME a TO b")
        other.commit()
        assert [each.payload for each in listener.notifies(timeout=0.5)] == [""]
        owner.execute("SET mendgate.notify = 'off'")
        owner.execute("DROP TABLE t")
        assert not list(listener.notifies(timeout=0.3))


FAULTS = {
    "no log": "DROP TABLE mendgate.ddl_log",
    "another log": "ALTER TABLE mendgate.ddl_log DROP COLUMN names",
    "a renamed schema": "ALTER SCHEMA mendgate RENAME TO elsewhere",
    "a full disk": "CREATE FUNCTION mendgate.full() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE disk_full; END $$;"
    "CREATE TRIGGER filled BEFORE INSERT ON mendgate.ddl_log EXECUTE FUNCTION mendgate.full()",
    "no function": "DROP FUNCTION mendgate.note",
    "no schema": "DROP SCHEMA mendgate CASCADE",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_ddl_succeeds_with(fault: str, owner: psycopg.Connection) -> None:
    owner.execute("CREATE TABLE t (a int)")
    owner.execute(FAULTS[fault])
    owner.execute("ALTER TABLE t RENAME a TO b")
    owner.execute("INSERT INTO t (b) VALUES (1)")
    owner.execute("DROP TABLE t")


def test_ddl_hardly_waits_for_a_locked_log(owner: psycopg.Connection, owner_url: str) -> None:
    with psycopg.connect(owner_url) as other:
        other.execute("LOCK TABLE mendgate.ddl_log IN ACCESS EXCLUSIVE MODE")
        owner.execute("SET statement_timeout = '20s'")
        owner.execute("CREATE TABLE t (a int)")
        assert owner.execute("SHOW lock_timeout").fetchone() == ("0",)


def test_fifty_sessions_at_once_all_succeed_and_all_are_noted(owner: psycopg.Connection, owner_url: str, rows: Rows) -> None:
    faults: list[BaseException] = []

    def run(number: int) -> None:
        try:
            with psycopg.connect(owner_url, autocommit=True) as connection:
                connection.execute(f"CREATE TABLE t{number} (a int)")
                connection.execute(f"ALTER TABLE t{number} RENAME a TO b")
        except BaseException as fault:  # for the assertion in the main thread
            faults.append(fault)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(50)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not faults
    assert len(rows()) == 100


@pytest.fixture
def preparing(postgres: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch) -> Iterator[psycopg.Connection]:
    """A server where transactions may be prepared, with the monitor."""
    monkeypatch.setitem(SETTINGS, "max_prepared_transactions", "5")
    home = postgres.home / "preparing"
    with EmbeddedPostgres(home, durable=False) as server, psycopg.connect(server.url("postgres"), autocommit=True) as connection:
        install.install(connection)
        yield connection


def test_ddl_can_be_prepared_and_is_noted_when_it_commits(preparing: psycopg.Connection) -> None:
    assert install.look(preparing) == install.Monitor(readable=True, filled=True, notifies=False)
    preparing.execute("BEGIN")
    preparing.execute("CREATE TABLE t (a int)")
    preparing.execute("PREPARE TRANSACTION 'x'")
    assert preparing.execute("SELECT count(*) FROM mendgate.ddl_log").fetchone() == (0,)
    preparing.execute("COMMIT PREPARED 'x'")
    assert preparing.execute("SELECT ident FROM mendgate.ddl_log").fetchall() == [("public.t",)]


def test_install_and_remove_may_be_repeated_and_leave_nothing(owner: psycopg.Connection, owner_url: str, target_url: str) -> None:
    owner.execute("CREATE TABLE t (a int)")
    for _ in range(2):
        assert monitor_setup.prepare(owner_url, target_url) is None
    assert owner.execute("SELECT count(*) FROM mendgate.ddl_log").fetchone() == (1,)
    for _ in range(2):
        install.remove(owner)
    assert owner.execute("SELECT count(*) FROM pg_event_trigger").fetchone() == (0,)
    assert owner.execute("SELECT count(*) FROM pg_proc WHERE pronamespace = 'mendgate'::regnamespace").fetchone() == (0,)
    assert owner.execute("SELECT to_regclass('mendgate.receipts') IS NOT NULL").fetchone() == (True,)
    assert install.look(owner) == install.Monitor(readable=False, filled=False, notifies=True)


def test_a_login_that_may_not_gets_a_reason_and_leaves_nothing(owner: psycopg.Connection, target_url: str) -> None:
    install.remove(owner)
    owner.execute("ALTER SCHEMA mendgate OWNER TO authenticator")
    why_not = monitor_setup.prepare(target_url, target_url)
    assert why_not is not None
    assert "found by polling" in why_not
    assert owner.execute("SELECT to_regclass('mendgate.ddl_log')").fetchone() == (None,)


def test_what_the_former_owner_of_the_schema_left_there_is_not_run(owner: psycopg.Connection, owner_url: str, target_url: str) -> None:
    """The functions run as a superuser: nothing that another role can change may be called or written by them."""
    install.remove(owner)
    owner.execute("ALTER SCHEMA mendgate OWNER TO authenticator")
    with psycopg.connect(target_url, autocommit=True) as gateway:
        gateway.execute("CREATE FUNCTION mendgate.ring() RETURNS void LANGUAGE sql AS 'SELECT 1'")
        assert "another role" in str(monitor_setup.prepare(owner_url, target_url))
        gateway.execute("DROP FUNCTION mendgate.ring()")
        assert monitor_setup.prepare(owner_url, target_url) is None
        for forbidden in (
            "CREATE TABLE mendgate.mine (a int)",
            "DROP TABLE mendgate.ddl_log",
            "CREATE TRIGGER mine BEFORE INSERT ON mendgate.ddl_log EXECUTE FUNCTION suppress_redundant_updates_trigger()",
            "INSERT INTO mendgate.ddl_log DEFAULT VALUES",
            "SELECT mendgate.ring()",
        ):
            with pytest.raises(errors.InsufficientPrivilege):
                gateway.execute(forbidden)
        gateway.execute("SELECT FROM mendgate.ddl_log")
        gateway.execute("SELECT FROM mendgate.receipts")
