"""Captures into the control database: epochs, changes, notifications, and the watcher as a real process."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import asyncpg
import msgspec
import psycopg
import pytest
from django.conf import LazySettings
from django.core.management import call_command
from django.db import connection, connections

from resilience_site.watching import is_watching
from schema_monitor import install, store, versions
from schema_monitor.capture import capture
from schema_monitor.core.lineage import Renamed
from schema_monitor.models import SchemaChange, SchemaVersion
from tests.gateway_process import ROOT
from tests.waiting import HANGS


@pytest.fixture
def target(settings: LazySettings, target_url: str, owner: psycopg.Connection) -> psycopg.Connection:
    """The owner's connection to the target that captures read."""
    settings.MENDGATE = msgspec.structs.replace(settings.MENDGATE, target_database_url=target_url, exposed_schemas=("public",))
    owner.execute("CREATE TABLE projects (id int PRIMARY KEY, name text)")
    return owner


@pytest.mark.django_db(transaction=True)
def test_the_first_capture_is_epoch_one_without_changes(target: psycopg.Connection) -> None:
    version = capture("start")
    assert version is not None
    assert (version.epoch, version.cause, version.changes.count()) == (1, "start", 0)
    assert version.summary == "First look: 1 tables and views."


@pytest.mark.django_db(transaction=True)
def test_nothing_new_makes_no_version(target: psycopg.Connection) -> None:
    capture("start")
    assert capture("command") is None
    assert SchemaVersion.objects.count() == 1


@pytest.mark.django_db(transaction=True)
def test_a_change_makes_the_next_epoch_with_its_rows_and_lineage(target: psycopg.Connection) -> None:
    capture("start")
    target.execute("ALTER TABLE projects RENAME name TO title")
    version = capture("watcher")
    assert version is not None
    (change,) = SchemaChange.objects.filter(version=version)
    assert (version.epoch, change.kind, change.object, change.old) == (2, "column_renamed", "title", "name")
    stored = versions.latest()
    assert stored is not None
    (relation,) = stored[1].named("public", "projects")
    assert isinstance(stored[2].resolve_column(relation, "name"), Renamed)


@pytest.mark.django_db(transaction=True)
def test_captures_at_once_make_one_version_and_no_gap(target: psycopg.Connection) -> None:
    capture("start")
    made: list[Any] = []

    def run() -> None:
        try:
            made.append(capture("command"))
        finally:
            connections.close_all()

    for number in range(3):
        target.execute(f"CREATE TABLE more_{number} (id int)")
        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len([version for version in made if version]) == 3
    assert list(SchemaVersion.objects.order_by("epoch").values_list("epoch", flat=True)) == [1, 2, 3, 4]


@pytest.mark.django_db(transaction=True)
def test_every_process_is_told_and_the_gateway_loads_what_was_stored(target: psycopg.Connection) -> None:
    names = connection.settings_dict
    url = f"postgresql://{names['USER']}:{names['PASSWORD']}@{names['HOST']}:{names['PORT']}/{names['NAME']}"
    with psycopg.connect(url, autocommit=True) as listener:
        listener.execute("LISTEN mendgate_snapshot")
        capture("start")
        (told,) = list(listener.notifies(timeout=HANGS, stop_after=1))
    assert told.payload == "schema:1"

    async def load() -> store.Version | None:
        control = await asyncpg.connect(url)
        try:
            return await store.load_latest(control)
        finally:
            await control.close()

    loaded = asyncio.run(load())
    assert loaded is not None
    assert (loaded[0], [r.name for r in loaded[1].relations.values()]) == (1, ["projects"])


@pytest.mark.django_db(transaction=True)
def test_a_target_that_is_away_stores_nothing(target: psycopg.Connection, settings: LazySettings) -> None:
    settings.MENDGATE = msgspec.structs.replace(settings.MENDGATE, target_database_url="postgresql://nobody@127.0.0.1:1/none")
    with pytest.raises(psycopg.OperationalError):
        capture("start")
    assert SchemaVersion.objects.count() == 0


@pytest.mark.django_db(transaction=True)
def test_the_command_says_in_a_line_what_changed(target: psycopg.Connection, capsys: pytest.CaptureFixture[str]) -> None:
    call_command("capture_schema", skip_checks=True)
    target.execute("ALTER TABLE projects RENAME name TO title")
    call_command("capture_schema", skip_checks=True)
    call_command("capture_schema", skip_checks=True)
    assert capsys.readouterr().out.splitlines() == [
        "v1 First look: 1 tables and views.",
        "v2 Column public.projects.name was renamed to title.",
        "v2 is current: no change.",
    ]


@pytest.fixture
def start_watcher(control_url: str, target_url: str) -> Iterator[Callable[[], subprocess.Popen[bytes]]]:
    """Starts ``watch_schema`` as a process of its own, as often as asked."""
    environment = {
        **os.environ,
        "DJANGO_SETTINGS_MODULE": "resilience_site.settings",
        "DATABASE_URL": control_url,
        "TARGET_DATABASE_URL": target_url,
        "REDIS_URL": "redis://127.0.0.1:1/0",
    }
    started: list[subprocess.Popen[bytes]] = []

    def start() -> subprocess.Popen[bytes]:
        started.append(subprocess.Popen([sys.executable, "manage.py", "watch_schema", "--skip-checks"], cwd=ROOT, env=environment))
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.wait()


@pytest.fixture
def watcher(start_watcher: Callable[[], subprocess.Popen[bytes]]) -> subprocess.Popen[bytes]:
    """One of them."""
    return start_watcher()


@pytest.fixture
def summaries(control_url: str) -> Iterator[Callable[[int], list[str]]]:
    """Waits until so many versions are there and returns their summaries."""
    with psycopg.connect(control_url, autocommit=True) as control:

        def wait(count: int) -> list[str]:
            until = time.monotonic() + HANGS
            while True:
                rows = control.execute("SELECT summary FROM schema_monitor_schemaversion ORDER BY epoch").fetchall()
                if len(rows) >= count or time.monotonic() > until:
                    return [row[0] for row in rows]
                time.sleep(0.05)

        yield wait


def test_the_watcher_sees_changes_survives_lost_connections_and_stops_cleanly(
    watcher: subprocess.Popen[bytes], summaries: Callable[[int], list[str]], owner: psycopg.Connection, control_url: str
) -> None:
    assert summaries(1) == ["First look: 0 tables and views."]
    owner.execute("CREATE TABLE t (a int)")
    assert summaries(2)[1:] == ["Table public.t was added."]
    owner.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mendgate watcher'")
    owner.execute("ALTER TABLE t RENAME a TO b")
    assert summaries(3)[2:] == ["Column public.t.a was renamed to b."]
    watcher.send_signal(signal.SIGTERM)
    assert watcher.wait(HANGS) == 0


def test_a_watcher_that_is_killed_is_replaced_by_the_one_that_waits(
    start_watcher: Callable[[], subprocess.Popen[bytes]], summaries: Callable[[int], list[str]], owner: psycopg.Connection, control_url: str
) -> None:
    first, _ = start_watcher(), start_watcher()
    summaries(1)
    first.kill()
    owner.execute("CREATE TABLE t (a int)")
    assert summaries(2)[1:] == ["Table public.t was added."]
    owner.execute("ALTER TABLE t RENAME a TO b")
    assert summaries(3)[2:] == ["Column public.t.a was renamed to b."]


def test_who_asks_for_a_capture_gets_one(
    watcher: subprocess.Popen[bytes], summaries: Callable[[int], list[str]], owner: psycopg.Connection, control_url: str
) -> None:
    summaries(1)
    owner.execute("CREATE TABLE t (a int)")
    with psycopg.connect(control_url, autocommit=True) as control:
        control.execute("NOTIFY mendgate_capture")
    assert summaries(2)[1:] == ["Table public.t was added."]


def wait_until_watching(control_url: str) -> None:
    until = time.monotonic() + HANGS
    while not is_watching(control_url):
        assert time.monotonic() < until
        time.sleep(0.05)


def test_each_change_rings_and_is_captured(
    watcher: subprocess.Popen[bytes], summaries: Callable[[int], list[str]], owner: psycopg.Connection, control_url: str
) -> None:
    wait_until_watching(control_url)
    with psycopg.connect(control_url, autocommit=True) as control:
        control.execute("LISTEN mendgate_snapshot")
        for number in range(5):
            owner.execute(f"CREATE TABLE t{number} (a int)")
            assert list(control.notifies(timeout=HANGS, stop_after=1))
    assert len(summaries(6)) == 6


def test_a_burst_is_captured_whole_without_gaps(
    watcher: subprocess.Popen[bytes], summaries: Callable[[int], list[str]], owner: psycopg.Connection, control_url: str
) -> None:
    wait_until_watching(control_url)
    for number in range(60):
        owner.execute(f"CREATE TABLE t{number} (a int)")
    with psycopg.connect(control_url, autocommit=True) as control:
        until = time.monotonic() + HANGS
        while True:
            epochs = [epoch for (epoch,) in control.execute("SELECT epoch FROM schema_monitor_schemaversion ORDER BY epoch").fetchall()]
            newest = store.version(control.execute(store.UNTIL.format(until=epochs[-1])).fetchall())
            assert newest is not None
            if len(newest[1].relations) == 60:
                break
            assert time.monotonic() < until
            time.sleep(0.05)
    assert epochs == list(range(1, len(epochs) + 1))


@pytest.mark.parametrize("without", ["the log", "notifications"])
def test_what_does_not_ring_is_found_by_looking(
    without: str, owner: psycopg.Connection, databases: tuple[str, str], request: pytest.FixtureRequest, control_url: str
) -> None:
    if without == "the log":
        install.remove(owner)
    else:
        owner.execute(f"ALTER DATABASE {databases[1]} SET mendgate.notify = 'off'")
    request.getfixturevalue("watcher")
    summaries = request.getfixturevalue("summaries")
    wait_until_watching(control_url)
    with psycopg.connect(request.getfixturevalue("owner_url"), autocommit=True) as other:
        other.execute("CREATE TABLE t (a int)")
    assert summaries(2)[1:] == ["Table public.t was added."]
