"""The watcher's ear: that it hears is proven by a probe, and a connection that went silent is not trusted."""

from __future__ import annotations

import time
from collections.abc import Iterator

import psycopg
import pytest

from schema_monitor.ear import Ear


class Clock:
    """Time that tests move."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def connections(target_url: str) -> Iterator[tuple[psycopg.Connection, psycopg.Connection]]:
    with psycopg.connect(target_url, autocommit=True) as listening, psycopg.connect(target_url, autocommit=True) as target:
        yield listening, target


@pytest.fixture
def ear(connections: tuple[psycopg.Connection, psycopg.Connection], clock: Clock) -> Ear:
    return Ear(*connections, clock)


def drain(ear: Ear, seconds: float = 0.3) -> bool:
    until = time.monotonic() + seconds
    rang = False
    while time.monotonic() < until:
        rang = ear.drain() or rang
        time.sleep(0.01)
    return rang


def test_it_hears_once_its_probe_came_back(ear: Ear) -> None:
    assert not ear.hears
    ear.check()
    assert not drain(ear), "a probe is no change"
    assert ear.hears


def test_it_says_what_rang(ear: Ear, owner: psycopg.Connection) -> None:
    ear.check()
    drain(ear)
    owner.execute("CREATE TABLE t (a int)")
    assert drain(ear)
    assert not drain(ear)


def test_a_connection_that_went_silent_is_given_up(
    ear: Ear, clock: Clock, connections: tuple[psycopg.Connection, psycopg.Connection]
) -> None:
    ear.check()
    drain(ear)
    connections[0].execute("UNLISTEN *")  # as a lost connection, or a pooler that gave the session to somebody else
    clock.now += 31
    ear.check()
    drain(ear)
    clock.now += 6
    with pytest.raises(psycopg.OperationalError, match="went silent"):
        ear.check()


def test_where_nothing_ever_arrives_it_is_deaf_and_goes_on(
    ear: Ear, clock: Clock, connections: tuple[psycopg.Connection, psycopg.Connection], caplog: pytest.LogCaptureFixture
) -> None:
    connections[0].execute("UNLISTEN *")
    for _ in range(3):
        ear.check()
        drain(ear, 0.05)
        clock.now += 6
    assert not ear.hears
    assert "do not arrive" in caplog.text


def test_disabled_triggers_are_noticed(ear: Ear, clock: Clock, owner: psycopg.Connection) -> None:
    ear.check()
    drain(ear)
    owner.execute("ALTER EVENT TRIGGER mendgate_ddl DISABLE")
    clock.now += 31
    ear.check()
    assert not ear.hears
