"""Stored versions: each costs what changed, and every one can be read again, by the control plane and by gateways."""

from __future__ import annotations

import asyncio

import asyncpg
import psycopg
import pytest
from django.conf import LazySettings

from schema_monitor import store, versions
from schema_monitor.capture import capture
from schema_monitor.core.lineage import LabelSighting, Renamed
from schema_monitor.models import SchemaSighting, SchemaVersion
from tests.integration.watching import control_url, point_at

pytestmark = pytest.mark.django_db(transaction=True)
COMMANDS = [
    "CREATE TYPE mood AS ENUM ('sad')",
    "CREATE TABLE t (id int PRIMARY KEY, a text, m mood)",
    "ALTER TABLE t RENAME a TO b",
    "ALTER TYPE mood RENAME VALUE 'sad' TO 'blue'",
    "CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    "ALTER TABLE t RENAME TO u",
    "ALTER TABLE u DROP b",
    "DROP FUNCTION f()",
    "DROP TABLE u",
]


@pytest.fixture
def target(settings: LazySettings, target_url: str, owner: psycopg.Connection) -> psycopg.Connection:
    point_at(settings, target_url)
    return owner


def load(known: store.Version | None) -> store.Version | None:
    async def run() -> store.Version | None:
        connection = await asyncpg.connect(control_url())
        try:
            return await store.load_since(connection, known)
        finally:
            await connection.close()

    return asyncio.run(run())


@pytest.mark.parametrize("most", [1, 3, 100])
def test_every_version_reads_as_it_was_taken(most: int, target: psycopg.Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(versions, "MOST_DELTAS", most)
    memory, taken = versions.Memory(), [capture("start")]
    known = [load(None)]
    for command in COMMANDS:
        target.execute(command)
        taken.append(capture("watcher", memory=memory, whole=False))
        known.append(load(known[-1]))
    for version, gateway in zip(taken, known, strict=True):
        assert version is not None and gateway is not None
        at = versions.at(version.epoch)
        assert at is not None
        assert at[0] == gateway[0] == version.epoch
        assert at[1:] == gateway[1:] == versions.of(version)
    whole = SchemaVersion.objects.filter(snapshot__isnull=False).count()
    assert whole == {1: 10, 3: 4, 100: whole}[most]
    assert load(known[2]) == known[-1] == versions.latest()


def test_a_change_costs_what_changed(target: psycopg.Connection) -> None:
    for number in range(40):
        target.execute(f"CREATE TABLE t{number} (id int PRIMARY KEY, a text, b text, c text)")
    capture("start")
    target.execute("ALTER TABLE t7 RENAME a TO z")
    version = capture("watcher")
    assert version is not None
    assert version.snapshot is None and version.lineage is None
    assert len(version.delta["relations"]) == len(version.delta["columns"]) == 1


def test_more_of_the_past_joins_a_version_that_is_stored_as_a_delta(target: psycopg.Connection) -> None:
    target.execute(COMMANDS[0])
    capture("start")
    target.execute("CREATE TABLE t (m mood)")
    capture("watcher")
    known = load(None)
    assert known is not None
    (enum,) = known[1].enums.values()
    seen = LabelSighting(known[1].scope, enum.oid, {enum.labels[0].oid: "gloomy"})
    SchemaSighting.objects.create(body=versions.as_json(seen))
    assert capture("in_band") is None
    for found in (load(known), load(None), versions.latest()):
        assert found is not None and found[0] == 2
        assert isinstance(found[2].resolve_label(enum, "gloomy"), Renamed)
    assert not SchemaSighting.objects.exists()


def test_a_gateway_that_knows_another_history_reads_everything(target: psycopg.Connection) -> None:
    """Its memory on disk may be of another control database."""
    capture("start")
    target.execute("CREATE TABLE t (a int)")
    capture("watcher")
    now = versions.latest()
    assert now is not None
    stranger = (1, now[1], now[2])
    assert load(stranger) == now
    assert load((7, now[1], now[2])) == now


def test_in_another_database_a_version_is_whole_and_matched_by_name(
    target: psycopg.Connection, settings: LazySettings, make_databases: object, postgres: object
) -> None:
    target.execute("CREATE TABLE t (a int, b int)")
    target.execute("ALTER TABLE t RENAME a TO c")
    capture("start")
    known = load(None)
    _, other = make_databases()  # type: ignore[operator]
    with psycopg.connect(postgres.url(other, "postgres"), autocommit=True) as there:  # type: ignore[attr-defined]
        there.execute("CREATE TABLE filler (x int)")
        there.execute("CREATE TABLE t (c int, d int)")
        point_at(settings, there.info.dsn + f" password={there.info.password}")
        version = capture("watcher")
    assert version is not None
    assert version.snapshot is not None and version.delta is None
    assert all(change.inferred or change.kind == "scope_changed" for change in version.changes.all())
    assert {"scope_changed", "column_added", "column_removed", "table_added"} <= {change.kind for change in version.changes.all()}
    assert load(known) == versions.latest()
