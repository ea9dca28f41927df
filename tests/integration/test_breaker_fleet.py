"""Eight real processes share breakers through a real Valkey that fails in all the ways it can."""

from __future__ import annotations

import os
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis

from benchmarks.fleet import Fleet, Member
from breakers.shared.keys import Names
from resilience_site.embedded import EmbeddedValkey
from tests.waiting import HANGS

SIZE, THREADS, PERMITS = 8, 3, 3
QUICK: dict[str, Any] = {"failure_threshold": 5, "timeout": 0.5, "permits": PERMITS, "permit_seconds": 1.0, "ramp": []}
LONG: dict[str, Any] = {**QUICK, "timeout": 60}


@pytest.fixture(scope="module")
def valkey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedValkey]:
    """One of our own, to stop and to empty."""
    with EmbeddedValkey(tmp_path_factory.mktemp("fleet")) as server:
        yield server


@pytest.fixture(scope="module")
def fleet(valkey: EmbeddedValkey) -> Iterator[Fleet]:
    """The processes."""
    with Fleet(valkey.url, "fleet", SIZE) as fleet:
        yield fleet


@pytest.fixture
def name(request: pytest.FixtureRequest) -> str:
    """A breaker for each test."""
    return str(request.node.name)[:60]


def ready(fleet: Fleet, name: str, settings: dict[str, Any]) -> None:
    """All have the breaker, and have heard of Valkey."""
    fleet.all("get", name=name, **settings)
    fleet.until_joined(name)


def trip(fleet: Fleet, name: str) -> float:
    """Two of them see the service fail; when the last call began that was let through and failed."""
    for member in fleet.members[:2]:
        member.tell("fail", name=name, times=5)
    return float(max(max(member.hear(), default=0.0) for member in fleet.members[:2]))


def until(holds: Callable[[], Any]) -> None:
    """Waits until it holds."""
    deadline = time.monotonic() + HANGS
    while not holds():
        assert time.monotonic() < deadline, "it never came to hold"
        time.sleep(0.05)


def states(fleet: Fleet, name: str) -> set[str]:
    """All there are."""
    return {view["state"] for view in fleet.all("view", name=name)}


def openings(fleet: Fleet, name: str) -> list[list[float]]:
    """When each process said that it is open."""
    return [[at for state, at in changes if state == "open"] for changes in fleet.all("changes", name=name)]


def half_open(fleet: Fleet, name: str, **settings: Any) -> None:
    """A breaker whose open time is over everywhere."""
    ready(fleet, name, {**QUICK, **settings})
    trip(fleet, name)
    fleet.until("open", name)
    until(lambda: states(fleet, name) == {"half_open"})


def newcomer(valkey: EmbeddedValkey, name: str, settings: dict[str, Any]) -> dict[str, Any]:
    """What a process that knows nothing is told."""
    member = Member(valkey.url, "fleet", "newcomer")
    try:
        member.ask("get", name=name, **settings)
        until(lambda: member.ask("view", name=name)["version"])
        return dict(member.ask("view", name=name))
    finally:
        member.close()


def test_all_see_it_open_after_the_deciding_failure(fleet: Fleet, name: str) -> None:
    ready(fleet, name, LONG)
    decided = trip(fleet, name)
    fleet.until("open", name)  # the benchmark measures how soon
    until(lambda: all(openings(fleet, name)))  # whoever opened it says so right afterwards
    seen = [min(times) for times in openings(fleet, name)]
    assert len(seen) == SIZE and max(seen) >= decided
    assert fleet.all("work", name=name, times=20) == [0] * SIZE


def test_exactly_the_permitted_trials_go_through_over_all_processes(fleet: Fleet, name: str) -> None:
    half_open(fleet, name, permit_seconds=30.0)
    taken = 0
    while taken < PERMITS:  # an answer may come too late for the one who asked; then the lease is somebody else's
        taken += sum(fleet.all("crowd", name=name, threads=THREADS, seconds=0.8))
    assert taken == PERMITS
    until(lambda: states(fleet, name) == {"closed"})
    assert sum(fleet.all("work", name=name, times=5)) == 5 * SIZE


def test_trials_of_a_process_that_lives_are_its_own_and_come_back_when_it_is_killed(
    fleet: Fleet, valkey: EmbeddedValkey, name: str
) -> None:
    """Its leases are short, and renewed. Nothing else would free them: the time that a trial may take ends long after the test."""
    settings = {**QUICK, "permit_seconds": 10 * HANGS}
    half_open(fleet, name, **settings)
    owner, key = Member(valkey.url, "fleet", "owner"), Names("fleet").of(name).leases
    owner.ask("get", name=name, **settings)
    until(lambda: owner.ask("view", name=name)["state"] == "half_open")
    held = 0
    while held < PERMITS:
        held += owner.ask("hold", name=name, times=PERMITS - held)
    with redis.Redis.from_url(valkey.url) as client:
        first = dict(client.zrange(key, 0, -1, withscores=True))
        until(lambda: min(dict(client.zrange(key, 0, -1, withscores=True)).values(), default=0) > max(first.values()) + 1_000)
        assert set(client.zrange(key, 0, -1)) == set(first)
    assert sum(fleet.all("crowd", name=name, threads=THREADS, seconds=0)) == 0
    owner.kill9()
    taken, begun = 0, time.monotonic()
    while taken < PERMITS:  # every refusal must leave the leases as they are, and the first to come may come just as they end
        taken += sum(fleet.all("crowd", name=name, threads=THREADS, seconds=0.8))
        assert time.monotonic() - begun < HANGS
        time.sleep(0.2)
    assert taken == PERMITS
    until(lambda: states(fleet, name) == {"closed"})


def test_a_failed_trial_of_one_opens_it_for_all_again(fleet: Fleet, name: str) -> None:
    half_open(fleet, name)
    for member in fleet.members:
        member.tell("fail", name=name, times=1)
    assert sum(len(member.hear()) for member in fleet.members) <= PERMITS
    until(lambda: {view["trips"] for view in fleet.all("view", name=name)} == {2})


@pytest.mark.parametrize("emptied", ["restarted", "flushed"])
def test_an_empty_valkey_learns_again_that_it_is_open(fleet: Fleet, valkey: EmbeddedValkey, name: str, emptied: str) -> None:
    ready(fleet, name, LONG)
    trip(fleet, name)
    fleet.until("open", name)
    before = max(view["remaining_ms"] for view in fleet.all("view", name=name))
    if emptied == "restarted":
        valkey.stop()
        shutil.rmtree(valkey.home / "valkey")
        valkey.start()
    else:
        with redis.Redis.from_url(valkey.url) as client:
            client.flushall()
    assert sum(fleet.all("work", name=name, times=3)) == 0
    until(lambda: newcomer(valkey, name, LONG)["state"] == "open")
    until(lambda: all(view["shared"] for view in fleet.all("view", name=name)))
    views = fleet.all("view", name=name)
    assert {view["state"] for view in views} == {"open"}
    assert max(view["remaining_ms"] for view in views) <= before + 1000


def test_a_valkey_that_hangs_costs_no_call_and_is_joined_again(fleet: Fleet, valkey: EmbeddedValkey, name: str) -> None:
    ready(fleet, name, LONG)
    pid = valkey.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    try:
        begun = time.monotonic()
        assert fleet.all("work", name=name, times=2_000) == [2_000] * SIZE
        assert time.monotonic() - begun < HANGS, "no call waits for it: a tenth of a second each would be minutes"
        until(lambda: not any(view["shared"] for view in fleet.all("view", name=name)))
        fleet.members[0].ask("fail", name=name, times=4_000)
        assert fleet.members[0].ask("view", name=name)["state"] == "open"  # it decides for itself
        assert fleet.members[1].ask("work", name=name) == 1
    finally:
        os.kill(pid, signal.SIGCONT)
    until(lambda: all(view["shared"] for view in fleet.all("view", name=name)))
    again = f"{name}-again"
    ready(fleet, again, LONG)
    trip(fleet, again)
    fleet.until("open", again)
