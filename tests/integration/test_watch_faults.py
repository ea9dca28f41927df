"""What the watcher survives: silent connections, lost notifications, a second watcher, faults of the log. Nothing is missed, no gap."""

from __future__ import annotations

import time

import psycopg
import pytest
from django.conf import LazySettings
from django.db import connection

from schema_monitor import ear, install, lease
from schema_monitor.capture import capture
from schema_monitor.models import SchemaChange, SchemaVersion
from tests.faulty_proxy import FaultyProxy
from tests.integration.watching import (
    control_url,
    epochs,
    point_at,
    state,
    wait_for,
    wait_for_change,
    wait_for_detector,
    wait_for_epoch,
    watching,
)

pytestmark = pytest.mark.django_db(transaction=True)


def test_a_connection_to_the_target_that_falls_silent_is_repaired(
    settings: LazySettings, target_url: str, owner: psycopg.Connection
) -> None:
    with FaultyProxy(target_url) as proxy:
        point_at(settings, proxy.url)
        with watching():
            wait_for_detector("listen")
            proxy.hush()
            owner.execute("CREATE TABLE t (a int)")
            wait_for_epoch(2)
            owner.execute("ALTER TABLE t RENAME a TO b")
            wait_for_epoch(3)
            assert proxy.hushed >= 2
    assert epochs() == [1, 2, 3]


def test_a_connection_to_the_control_database_that_falls_silent_is_repaired(
    settings: LazySettings, target_url: str, owner: psycopg.Connection
) -> None:
    with FaultyProxy(control_url()) as proxy:
        point_at(settings, target_url, proxy.url)
        with watching():
            wait_for_detector("listen")
            before = state().heartbeat_at
            proxy.hush()
            owner.execute("CREATE TABLE t (a int)")
            wait_for_epoch(2)
            wait_for(lambda: state().last_change_at is not None and state().heartbeat_at != before)
            owner.execute("ALTER TABLE t RENAME a TO b")
            wait_for_epoch(3)
    assert epochs() == [1, 2, 3]


def test_fault_16_lost_notifications_are_made_good_by_looking(settings: LazySettings, target_url: str, owner: psycopg.Connection) -> None:
    point_at(settings, target_url)
    with watching():
        wait_for_detector("listen")
        owner.execute("SET mendgate.notify = 'off'")  # of this session only: the watcher believes that changes ring
        for number in range(2):
            owner.execute(f"CREATE TABLE t{number} (a int)")
            wait_for_epoch(number + 2)
    assert epochs() == [1, 2, 3]


def test_what_the_log_missed_is_found_by_the_fingerprint(settings: LazySettings, target_url: str, owner: psycopg.Connection) -> None:
    """As with roles that a managed service keeps out of event triggers."""
    point_at(settings, target_url)
    with watching():
        wait_for_detector("listen")
        owner.execute("SET event_triggers = off")
        owner.execute("CREATE TABLE t (a int)")
        wait_for_epoch(2)
    assert SchemaChange.objects.get().usr is None


def test_one_of_two_watchers_writes_and_the_other_takes_over(settings: LazySettings, target_url: str, owner: psycopg.Connection) -> None:
    point_at(settings, target_url)
    with watching() as first:
        wait_for_epoch(1)
        with watching():
            for number in range(4):
                owner.execute(f"CREATE TABLE t{number} (a int)")
                wait_for_epoch(number + 2)
            first.stop()
            owner.execute("CREATE TABLE last (a int)")
            wait_for_epoch(6)
    assert epochs() == [1, 2, 3, 4, 5, 6]
    assert SchemaChange.objects.count() == 5


def test_who_lost_the_lease_stores_nothing(settings: LazySettings, target_url: str, owner: psycopg.Connection) -> None:
    point_at(settings, target_url)
    with psycopg.connect(control_url(), autocommit=True) as one, psycopg.connect(control_url(), autocommit=True) as other:
        token = lease.take(one)
        assert token is not None
        assert lease.take(other) is None
        capture("watcher", token=token)
        owner.execute("SELECT pg_terminate_backend(%s)", [one.info.backend_pid])
        wait_for(lambda: lease.take(other) is not None)
        owner.execute("CREATE TABLE t (a int)")
        with pytest.raises(lease.Superseded):
            capture("watcher", token=token)
    assert epochs() == [1]


def test_nobody_takes_over_while_a_version_is_being_stored(settings: LazySettings, target_url: str, owner: psycopg.Connection) -> None:
    point_at(settings, target_url)
    with psycopg.connect(control_url()) as storing, psycopg.connect(control_url(), autocommit=True) as other:
        storing.execute("INSERT INTO schema_monitor_writerlease (target, token) VALUES ('target', 1)")
        storing.commit()
        storing.execute("SELECT token FROM schema_monitor_writerlease FOR SHARE")
        other.execute("SET lock_timeout = '300ms'")
        with pytest.raises(psycopg.errors.LockNotAvailable):
            lease.take(other)


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        ("DROP TABLE mendgate.ddl_log", "is gone or was altered"),
        ("ALTER TABLE mendgate.ddl_log RENAME names TO other", "is gone or was altered"),
        ("ALTER TABLE mendgate.ddl_log ADD CHECK (tag = '') NOT VALID", "takes no entries"),
    ],
)
def test_a_broken_log_stops_nothing_is_said_and_is_mended(
    fault: str, reason: str, settings: LazySettings, target_url: str, owner: psycopg.Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ear, "PROBE_EVERY", 1.0)  # when a log that took nothing is tried again: every 30 s
    point_at(settings, target_url)
    with watching():
        wait_for_detector("listen")
        owner.execute(fault)
        owner.execute("CREATE TABLE t (a int)")
        wait_for_change("table_added")
        wait_for_detector("counters")
        assert reason in state().why_not[0] and state().bound > 1
        owner.execute("ALTER TABLE t RENAME a TO b")
        wait_for_change("column_renamed")
        owner.execute("ALTER TABLE IF EXISTS mendgate.ddl_log DROP CONSTRAINT IF EXISTS ddl_log_tag_check")
        install.install(owner, "authenticator")
        wait_for_detector("listen")
        owner.execute("CREATE TABLE u (a int)")
        wait_for(lambda: SchemaChange.objects.filter(kind="table_added", usr="postgres").exists())


def test_a_log_that_takes_no_entries_is_known_from_the_start(settings: LazySettings, target_url: str, owner: psycopg.Connection) -> None:
    owner.execute("ALTER TABLE mendgate.ddl_log ADD CHECK (tag = '') NOT VALID")
    point_at(settings, target_url)
    with watching():
        wait_for_detector("counters")
        assert "takes no entries" in state().why_not[0]


def test_a_locked_log_only_delays(settings: LazySettings, target_url: str, owner: psycopg.Connection, owner_url: str) -> None:
    point_at(settings, target_url)
    with watching(), psycopg.connect(owner_url) as other:
        wait_for_detector("listen")
        other.execute("LOCK TABLE mendgate.ddl_log IN ACCESS EXCLUSIVE MODE")
        owner.execute("CREATE TABLE t (a int)")
        wait_for_epoch(2)


def test_disabled_and_dropped_triggers_are_critical_changes(settings: LazySettings, target_url: str, owner: psycopg.Connection) -> None:
    point_at(settings, target_url)
    with watching():
        wait_for_detector("listen")
        assert state().trigger_present
        owner.execute("ALTER EVENT TRIGGER mendgate_ddl DISABLE")
        wait_for_epoch(2)
        wait_for(lambda: not state().trigger_present)
        assert state().detector != "listen" and "disabled" in state().why_not[0]
        owner.execute("ALTER EVENT TRIGGER mendgate_ddl ENABLE ALWAYS")
        wait_for_epoch(3)
        owner.execute("DROP SCHEMA mendgate CASCADE")
        wait_for_epoch(4)
    said = [(c.kind, c.severity) for c in SchemaChange.objects.order_by("id")]
    assert said == [("monitor_disabled", "critical"), ("monitor_on", "low"), ("monitor_removed", "critical")]


def test_the_watcher_says_what_it_promises_and_stays_quiet_otherwise(settings: LazySettings, target_url: str) -> None:
    point_at(settings, target_url)
    with watching():
        wait_for_detector("listen")
        said = state()
        assert (said.bound, said.why_not, said.monitor) == (1.0, [], "on")
        assert said.bound_text.startswith("A change is seen at once")
        assert said.heard_at is not None and said.last_change_at is not None
        connection.close()
        time.sleep(1.2)
        assert state().heartbeat_at == said.heartbeat_at
    assert SchemaVersion.objects.count() == 1
