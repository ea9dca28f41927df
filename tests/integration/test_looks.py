"""What one look concludes in a catalog that is dear to read: time and costs are moved by hand, so that nothing depends on the machine."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest

from schema_monitor.detect import EVERY, SHARE, SHARE_BACKED, Detector, Found

DEAR = 1.0
"""Seconds that everything takes: a fingerprint is rare, reading everything rarer still."""
RARELY = DEAR / SHARE_BACKED + EVERY
UNLOGGED = "SET event_triggers = off"


class Clock:
    """Each time it is asked, as many seconds are over as things cost; more only where a test says so."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += DEAR
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def detector(target_url: str, clock: Clock) -> Iterator[Detector]:
    """One that looked, saw a log and read everything."""
    with psycopg.connect(target_url, autocommit=True) as target:
        detector = Detector(target, clock)
        assert detector.look(logged=True) is Found.CHANGED
        detector.captured(DEAR, whole=True)
        yield detector


def found_later(detector: Detector, clock: Clock, *, logged: bool = True) -> Found:
    """What a look finds when a fingerprint is due, and reading everything is not."""
    assert RARELY < DEAR / SHARE * 10
    clock.now += RARELY
    return detector.look(logged=logged)


def test_what_the_log_tells_is_read_by_itself(detector: Detector, clock: Clock, owner: psycopg.Connection) -> None:
    owner.execute("CREATE TABLE t (a int)")
    assert detector.look(logged=True) is Found.LOGGED
    assert not detector.missed


def test_what_the_log_does_not_tell_is_a_change_and_is_said(detector: Detector, clock: Clock, owner: psycopg.Connection) -> None:
    owner.execute(UNLOGGED)
    owner.execute("CREATE TABLE t (a int)")
    assert found_later(detector, clock) is Found.CHANGED
    assert detector.missed


@pytest.mark.parametrize("fault", ["DROP TABLE mendgate.ddl_log", "ALTER TABLE mendgate.ddl_log RENAME names TO other"])
def test_a_log_that_went_told_nothing(fault: str, detector: Detector, clock: Clock, owner: psycopg.Connection) -> None:
    """Its end is no entry of it: what changes next is not what it told."""
    owner.execute(fault)
    assert detector.look(logged=True) is not Found.LOGGED
    owner.execute("CREATE TABLE t (a int)")
    assert found_later(detector, clock) is Found.CHANGED


def test_a_log_that_came_told_nothing(target_url: str, clock: Clock, owner: psycopg.Connection) -> None:
    with psycopg.connect(target_url, autocommit=True) as target:
        detector = Detector(target, clock)
        detector.look(logged=False)
        detector.captured(DEAR, whole=True)
        assert detector.look(logged=True) is Found.NOTHING
        owner.execute(UNLOGGED)
        owner.execute("CREATE TABLE t (a int)")
        assert found_later(detector, clock) is Found.CHANGED


def test_triggers_that_come_back_told_nothing_of_what_was_meanwhile(detector: Detector, owner: psycopg.Connection) -> None:
    owner.execute("ALTER EVENT TRIGGER mendgate_ddl DISABLE")
    assert detector.look(logged=True) is Found.CHANGED
    owner.execute("CREATE TABLE t (a int)")
    owner.execute("ALTER EVENT TRIGGER mendgate_ddl ENABLE ALWAYS")
    assert detector.look(logged=True) is Found.CHANGED
