"""Breakers of several processes through one Valkey: what is shared, what is not, and what stays when Valkey goes."""

from __future__ import annotations

import asyncio
import gc
import itertools
import os
import resource
import time
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
import pytest
import redis
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from breakers.core.machine import Machine
from breakers.core.types import Outcome, Settings, State
from breakers.registry import Breaker, Open, Permit, Registry
from breakers.shared import scripts
from breakers.shared.keys import Names
from breakers.shared.scripts import Asker, Claim
from tests.breaker_peer import Peer, calls
from tests.breaker_valkey import OwnValkey
from tests.waiting import HANGS

QUICK: dict[str, Any] = {"timeout": 0.1, "timeout_cap": 0.1, "ramp": (), "window": 60.0}
LONG: dict[str, Any] = {"timeout": 600.0, "timeout_cap": 600.0, "ramp": (), "window": 60.0}
numbers = itertools.count(1)
Make = Callable[..., Registry]


@pytest.fixture
def namespace() -> str:
    return f"shared{next(numbers)}"


@pytest.fixture
def make(valkey_url: str, namespace: str) -> Iterator[Make]:
    """Registries, each as if it were a process of its own."""
    made: list[Registry] = []

    def make(source: str = "", url: str = valkey_url) -> Registry:
        made.append(Registry())
        made[-1].connect(url, namespace=namespace, source=source or f"node{len(made)}")
        return made[-1]

    yield make
    for registry in made:
        registry.close()


def shared(registry: Registry, **settings: Any) -> Breaker:
    """A breaker that has heard of the shared one."""
    breaker = registry.get("service", **settings)
    until(lambda: breaker.view().shared and breaker.version > 0)
    return breaker


def until(holds: Callable[[], object]) -> None:
    ends = time.monotonic() + HANGS
    while not holds():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.002)


def trial(breaker: Breaker) -> Permit:
    """A trial's permit, as soon as there is one."""
    found: list[Permit] = []

    def asked() -> bool:
        try:
            found.append(breaker.acquire())
        except Open:
            return False
        return True

    until(asked)
    return found.pop()


def entries(url: str, namespace: str) -> list[dict[str, str]]:
    with redis.Redis.from_url(url, decode_responses=True) as client:
        return [fields for _, fields in client.xrange(Names(namespace).log)]


def test_one_bad_node_opens_for_itself_alone(make: Make, valkey_url: str, namespace: str) -> None:
    broken, healthy = make("bad"), make("good")
    bad, good = shared(broken, **LONG), shared(healthy, **LONG)
    calls(good, "ok", 1)
    assert healthy.flush()
    calls(bad, "failure", 5)
    assert bad.view().state is State.OPEN, "at once, and without anybody's leave"
    assert broken.flush()
    assert healthy.flush()
    time.sleep(0.05)
    assert good.view().state is State.CLOSED
    (entry,) = entries(valkey_url, namespace)
    assert (entry["after"], entry["scope"], entry["source"]) == ("open", "local", "bad")
    calls(good, "failure", 2)  # now a second node sees it, too
    until(lambda: good.view().state is State.OPEN)
    assert entries(valkey_url, namespace)[-1]["scope"] == "shared"


def test_an_opening_says_why(make: Make, valkey_url: str, namespace: str) -> None:
    one, other = shared(make("a"), **LONG), shared(make("b"), **LONG)
    calls(one, "ok", 1)
    for breaker in (one, other):
        for _ in range(3):
            breaker.record(Outcome.FAILURE, 0.1, "Refused: key sk-verysecret123 of ann@example.com")
    until(lambda: one.view().state is State.OPEN and other.view().state is State.OPEN)
    until(lambda: one.standing.state is State.OPEN)
    (entry,) = [each for each in entries(valkey_url, namespace) if each["scope"] == "shared"]
    why = msgspec.json.decode(entry["why"])
    assert (entry["name"], entry["before"], entry["after"]) == ("service", "closed", "open")
    assert (why["rule"], why["failures"], sorted(why["sources"])) == ("failure rate", why["calls"] - 1, ["a", "b"])
    assert why["error"] == "Refused: key … of …"
    assert one.view().why == other.view().why == why


def test_closed_and_open_calls_cost_no_command(make: Make, valkey_url: str) -> None:
    registry = make()
    breaker, few = shared(registry, **LONG), 500
    with redis.Redis.from_url(valkey_url) as client:

        def commands() -> int:
            stats: Any = client.info("commandstats")
            return sum(stats.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in ("eval", "hget"))

        before = commands()
        calls(breaker, "ok", 20_000)
        assert commands() - before < few  # a report every 250 ms, and a look around every two seconds
        calls(breaker, "failure", 40_000)
        assert breaker.view().state is State.OPEN
        until(lambda: breaker.standing.state is State.OPEN)
        registry.flush()
        before = commands()
        assert calls(breaker, "ok", 20_000) == 0
        assert commands() - before < few


def test_the_configuration_changes_everywhere_and_nothing_counted_is_lost(make: Make) -> None:
    operator, registry = make(), make()
    here, there = shared(operator, **LONG), shared(registry, **LONG)
    calls(there, "failure", 4)
    registry.flush()
    operator.apply("service", Settings(**{**LONG, "window": 80.0}, failure_threshold=100, version=2))
    until(lambda: there.settings.failure_threshold == 100)
    assert there.view().failures == 4
    until(lambda: not operator.views()[0].pending)
    calls(there, "failure", 4)
    assert there.view().state is State.CLOSED
    operator.apply("service", Settings(**{**LONG, "window": 80.0}, failure_threshold=9, version=3))
    until(lambda: there.settings.version == 3)
    calls(there, "failure", 1)
    until(lambda: here.view().state is State.OPEN)
    until(lambda: here.standing.state is State.OPEN)
    assert here.view().why["failures"] == 9
    remaining = here.view().remaining_ms
    operator.apply("service", Settings(**{**LONG, "timeout": 0.1}, version=4))
    until(lambda: there.settings.version == 4)
    assert there.view().remaining_ms > remaining / 2, "it stays open as long as it was told"
    operator.apply("service", Settings(**LONG, version=5), State.CLOSED, "mended")
    until(lambda: there.view().state is State.CLOSED and here.view().state is State.CLOSED)
    assert there.view().why == {"rule": "person", "sentence": "mended"}


def test_fewer_trials_than_have_ended_already_wedge_nothing(make: Make) -> None:
    registry = make()
    breaker = shared(registry, **QUICK, permits=3)
    calls(breaker, "failure", 5)
    until(lambda: breaker.standing.state is State.OPEN)
    until(lambda: calls(breaker, "ok", 1))
    until(lambda: breaker.standing.state is State.HALF_OPEN)
    registry.apply("service", Settings(**QUICK, permits=1, version=2))
    until(lambda: not registry.views()[0].pending)
    until(lambda: calls(breaker, "ok", 1) and breaker.view().state is State.CLOSED)


def test_what_a_person_holds_only_a_person_clears(make: Make) -> None:
    operator, registry = make(), make()
    shared(operator, **QUICK)
    there = shared(registry, **QUICK)
    operator.apply("service", Settings(**QUICK, version=2), State.FORCED_OPEN, "maintenance")
    until(lambda: there.view().state is State.FORCED_OPEN)
    assert calls(there, "ok", 3) == 0
    time.sleep(0.3)  # longer than any open time
    assert there.view().state is State.FORCED_OPEN
    newcomer = shared(make(), **QUICK)
    until(lambda: newcomer.view().state is State.FORCED_OPEN)
    operator.apply("service", Settings(**QUICK, version=3), State.DISABLED, "let it through")
    until(lambda: there.view().state is State.DISABLED)
    assert calls(there, "failure", 20) == 20
    operator.apply("service", Settings(**QUICK, version=4), State.SHADOW, "only look")
    until(lambda: there.view().state is State.SHADOW)
    assert calls(there, "failure", 20) == 20
    operator.apply("service", Settings(**QUICK, version=5), None, "as usual")
    until(lambda: there.view().state is State.CLOSED)
    calls(there, "failure", 5)
    assert there.view().state is not State.CLOSED


def test_closing_by_force_ends_a_pause_everywhere(make: Make) -> None:
    """Who was asked for the pause, and who only heard of it."""
    one, two = make(), make()
    here, there = shared(one), shared(two)
    one.throttle("service", 60_000)
    until(lambda: there.view().state is State.OPEN)
    two.apply("service", Settings(version=5), State.CLOSED, "It answers again.")
    until(lambda: here.view().state is State.CLOSED)
    assert there.view().state is State.CLOSED
    time.sleep(2.5)  # it is looked around meanwhile
    assert (here.view().state, there.view().state) == (State.CLOSED, State.CLOSED)


def test_a_pause_without_end_is_a_day_and_breaks_nothing(make: Make) -> None:
    """Beyond what Valkey can count it would be an error there, and the link of every breaker would go down with it."""
    registry = make()
    breaker = shared(registry)
    registry.throttle("service", 10**30)
    until(lambda: registry.flush(HANGS))
    other = registry.get("other")
    until(lambda: other.version > 0)
    assert (breaker.view().state, breaker.view().shared) == (State.OPEN, True)
    assert 86_000_000 < breaker.view().remaining_ms <= 86_400_000


def test_an_error_that_no_text_can_hold_is_shared_as_any_other(make: Make) -> None:
    """Half a surrogate pair, as in names of files: it cannot be sent, and must not keep the counts from being."""
    here, there = shared(make(), **LONG), shared(make(), **LONG)
    for _ in range(5):
        here.record(Outcome.FAILURE, error="cannot read \ud800.csv")
    until(lambda: there.view().state is State.OPEN)
    assert (there.view().why or {})["error"] == r"cannot read \ud800.csv"


def test_a_fault_of_the_link_leaves_nobody_waiting(make: Make, monkeypatch: pytest.MonkeyPatch, namespace: str, valkey_url: str) -> None:
    """Whatever goes wrong with an answer, trials can be asked for again."""
    breaker = shared(make(), **QUICK, permits=1)
    calls(breaker, "failure", 5)
    until(lambda: breaker.view().state is State.HALF_OPEN and breaker.version == breaker.standing.version)
    with monkeypatch.context() as broken:
        broken.setattr(scripts, "trial", lambda answer: 1 / 0)
        for _ in range(3):
            with pytest.raises(Open):
                breaker.acquire()
            time.sleep(0.15)
    ends = time.monotonic() + HANGS
    permit = None
    while permit is None and time.monotonic() < ends:
        with redis.Redis.from_url(valkey_url) as client:
            client.delete(Names(namespace).of("service").leases)  # those that the faults took
        try:
            permit = breaker.acquire()
        except Open:
            time.sleep(0.05)
    assert permit is not None
    permit.close()


@pytest.mark.parametrize("key", ["state", "sources", "config"])
def test_what_spoils_the_keys_of_one_breaker_is_that_ones_alone(make: Make, valkey_url: str, namespace: str, key: str) -> None:
    """Somebody else wrote under them, or a server gave back what it should not: no outage of Valkey, and mended from what is known."""
    lost: list[str] = []
    registries = [make() for _ in range(2)]
    here, there = (shared(registry, **LONG) for registry in registries)
    for registry in registries:
        registry.on_link(lambda up, why: None if up else lost.append(why))
    registries[0].apply("service", Settings(version=3, timeout=700.0, timeout_cap=900.0, ramp=()))
    others = [registry.get("other", **LONG) for registry in registries]
    until(lambda: there.settings.version == 3 and all(each.version for each in others))
    with redis.Redis.from_url(valkey_url) as client:
        spoilt = getattr(Names(namespace).of("service"), key)
        client.delete(spoilt)
        client.set(spoilt, "not ours")
        here.record(Outcome.OK)
        calls(others[0], "failure", 5)
        until(lambda: others[1].view().state is State.OPEN)
        until(
            lambda: here.record(Outcome.OK) or client.type(spoilt) != b"string"
        )  # failures would open it here alone: a lost report stays lost
    until(lambda: here.record(Outcome.FAILURE, error="down") or there.view().state is State.OPEN)
    registries[0].apply("service", Settings(version=4, timeout=800.0, timeout_cap=900.0, ramp=()))
    until(lambda: there.settings.version == 4)
    assert not lost, "nobody lost Valkey"


def test_a_log_that_is_none_is_begun_anew(make: Make, valkey_url: str, namespace: str) -> None:
    registries = [make() for _ in range(2)]
    first = shared(registries[0], **LONG)
    one, other = (registry.get("other", **LONG) for registry in registries)
    with redis.Redis.from_url(valkey_url) as client:
        client.set(Names(namespace).log, "not ours")
        calls(first, "failure", 5)
        until(lambda: client.type(Names(namespace).log) != b"string")
        until(lambda: one.version and other.version)
        calls(one, "failure", 5)
        until(lambda: other.view().state is State.OPEN)
        assert client.type(Names(namespace).log) == b"stream"


def test_shadow_says_when_it_would_have_opened(make: Make, valkey_url: str, namespace: str) -> None:
    registry = make()
    breaker = shared(registry, shadow=True, **QUICK)
    assert calls(breaker, "failure", 12) == 12
    registry.flush()
    shadows = [each for each in entries(valkey_url, namespace) if each["after"] == "shadow"]
    assert shadows
    assert msgspec.json.decode(shadows[0]["why"])["rule"] == "failure rate"


def test_a_start_needs_no_valkey(make: Make) -> None:
    registry = make(url="redis://127.0.0.1:1/0")
    told: list[bool] = []
    registry.on_link(lambda up, why: told.append(up))
    breaker = registry.get("service", **QUICK)
    assert breaker.execute(lambda: 5) == 5
    until(lambda: told == [False])
    calls(breaker, "failure", 5)
    assert calls(breaker, "ok", 1) == 0
    until(lambda: breaker.view().state is State.HALF_OPEN)
    assert calls(breaker, "ok", 3) == 3
    assert breaker.view().state is State.CLOSED
    time.sleep(0.6)
    assert told == [False], "one alert an edge, not one an attempt"


def test_an_empty_valkey_is_told_what_is_still_open(namespace: str, make: Make) -> None:
    with OwnValkey() as valkey:
        one, other = make(url=valkey.url), make(url=valkey.url)
        here, there = shared(one, **LONG), shared(other, **LONG)
        one.apply("service", Settings(**LONG, version=3))
        calls(here, "failure", 5)
        until(lambda: there.view().state is State.OPEN)
        trips, before = there.view().trips, there.version
        valkey.stop()
        until(lambda: not here.view().shared and not there.view().shared)
        assert [here.view().state, there.view().state] == [State.OPEN, State.OPEN]
        valkey.start()
        until(lambda: here.view().shared and there.view().shared)
        until(lambda: here.version == there.version != before)
        newcomer = shared(make(url=valkey.url), **LONG)
        until(lambda: newcomer.view().state is State.OPEN and newcomer.view().config_version == 3)
        assert 300_000 < newcomer.view().remaining_ms <= 720_000
        assert newcomer.view().trips == trips


def test_an_empty_valkey_brings_nothing_back_that_was_over(namespace: str, make: Make) -> None:
    """One process still believes that it is open; another one saw it close. Whoever knows more goes before, whoever comes first."""
    with OwnValkey() as valkey, valkey.client() as client:

        def report(source: str, known: int, claim: Claim) -> Any:
            asker = Asker(Names(namespace), source, "service", Settings(**LONG), known, claim, 0.5)
            return scripts.standing(client.execute_command(*scripts.command("report", asker, 0, 0, 0, 0, 1, "")))

        stale, newer = Claim(State.OPEN, 600_000, 1, {"rule": "old"}), Claim()
        assert report("late", 100, stale).state is State.OPEN
        assert report("informed", 101, newer).state is State.CLOSED
        assert report("late", 100, stale).state is State.CLOSED
        client.flushall()
        assert report("informed", 101, newer).state is State.CLOSED
        assert report("late", 100, stale).state is State.CLOSED
        client.flushall()
        first = report("informed", 101, Claim(State.OPEN, 600_000, 3, None))
        assert (first.state, first.trips) == (State.OPEN, 3)
        assert 300.0 < first.remaining <= 600.0
        assert first.version > 101


def test_a_batch_of_an_earlier_version_is_dropped(make: Make, valkey_url: str, namespace: str) -> None:
    registry = make()
    breaker = shared(registry, **LONG)
    with redis.Redis.from_url(valkey_url) as client:

        def report(known: int) -> int:
            asker = Asker(Names(namespace), "other", "service", Settings(**LONG), known, Claim(), 0.5)
            return scripts.standing(client.execute_command(*scripts.command("report", asker, 0, 2, 0, 2, 1, ""))).counts.failures

        first = breaker.version
        assert report(first) == 2
        assert report(first) == 4
        registry.apply("service", Settings(**LONG, version=2), State.CLOSED, "afresh")
        until(lambda: breaker.version == first + 1)
        assert report(first) == 0
        assert report(first + 1) == 2


def test_a_lost_hint_is_repaired_by_looking(make: Make, valkey_url: str, namespace: str) -> None:
    breaker = shared(make(), **LONG)
    with redis.Redis.from_url(valkey_url) as client:
        client.hset(Names(namespace).of("service").state, mapping={"thr": int(time.time() * 1000) + 600_000})
    until(lambda: breaker.view().remaining_ms > 300_000)


def test_memory_is_bounded_there_and_here(make: Make, valkey_url: str) -> None:
    registry = make()
    breaker = shared(registry, **QUICK)
    calls(breaker, "failure", 5)
    until(lambda: breaker.view().state is State.HALF_OPEN)
    small = Registry(most=2)
    small.get("a"), small.get("b")
    with pytest.raises(ValueError, match="closed set"):
        small.get("c")
    until(lambda: breaker.standing.state is not State.CLOSED)
    permit = trial(breaker)
    with redis.Redis.from_url(valkey_url) as client:
        for key in client.keys("*"):
            if not key.endswith(b":log"):
                assert 0 < client.pttl(key) <= 86_500_000, key
    permit.close()


def test_permits_come_back_by_every_way_out(make: Make) -> None:
    breaker = shared(make(), **{**QUICK, "permits": 1, "permit_seconds": 30.0})
    calls(breaker, "failure", 5)
    until(lambda: breaker.standing.state is State.OPEN)

    forgotten = trial(breaker)
    del forgotten
    gc.collect()
    with trial(breaker) as permit:
        permit.close()

    async def cancelled() -> None:
        async def forever() -> None:
            await asyncio.sleep(60)

        deadline = time.monotonic() + HANGS
        while time.monotonic() < deadline:
            task = asyncio.create_task(breaker.aexecute(forever))
            await asyncio.sleep(0.05)
            task.cancel()
            try:
                await task
            except Open:
                continue
            except asyncio.CancelledError:
                return
        raise AssertionError("no permit came back")

    asyncio.run(cancelled())
    asyncio.run(cancelled())
    trial(breaker).settle(Outcome.OK)
    until(lambda: breaker.view().state is State.CLOSED)


def test_a_fork_reports_for_itself_and_leaves_its_parents_trials_alone(make: Make, valkey_url: str) -> None:
    registry = make()
    breaker = shared(registry, **{**LONG, "failure_threshold": 4, "permits": 1})
    watcher = make("watcher")
    shared(watcher, **{**LONG, "failure_threshold": 4})
    calls(breaker, "ok", 3)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            calls(breaker, "failure", 3)
            code = 0 if registry.flush(2.0) else 2
        finally:
            os._exit(code)
    assert os.waitpid(child, 0)[1] == 0
    registry.flush()
    until(lambda: watcher.views()[0].calls == 6)
    assert watcher.views()[0].failures == 3, "what the parent had counted was reported by the parent alone"
    calls(breaker, "failure", 1)
    registry.flush()
    until(lambda: watcher.views()[0].failures == 4 or watcher.views()[0].state is State.OPEN)


def test_asking_costs_an_async_caller_no_blocked_loop(make: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("breakers.breaker.PATIENCE", 0.5)
    with OwnValkey() as valkey:
        breaker = shared(make(url=valkey.url), **QUICK)
        calls(breaker, "failure", 5)
        until(lambda: breaker.standing.state is State.OPEN)
        time.sleep(0.15)
        valkey.freeze()

        async def main() -> int:
            asked, turns = asyncio.create_task(breaker.aexecute(lambda: asyncio.sleep(0))), 0
            while not asked.done():
                await asyncio.sleep(0.001)
                turns += 1
            with pytest.raises(Open):
                await asked
            return turns

        assert asyncio.run(main()) > 2, "the loop goes on while one waits"


def test_a_process_with_thousands_of_connections_shares_as_well(make: Make) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 4_096), hard))
    held = [os.open(os.devnull, os.O_RDONLY) for _ in range(1_200)]
    try:
        one, other = shared(make(), **LONG), shared(make(), **LONG)
        calls(one, "failure", 5)
        until(lambda: other.view().state is State.OPEN)
    finally:
        for each in held:
            os.close(each)
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_peers_see_it_open(valkey_url: str, namespace: str, make: Make) -> None:
    with Peer(valkey_url, namespace, "a") as a, Peer(valkey_url, namespace, "b") as b:
        a.do("get", **LONG)
        b.do("get", **LONG)
        a.do("calls", outcome="failure", count=3)
        b.do("calls", outcome="failure", count=3)
        assert a.do("wait", state="open") == "open"


RULES = st.builds(
    Settings,
    failure_threshold=st.integers(1, 4),
    failure_rate=st.sampled_from([0.25, 0.5, 1.0]),
    minimum_calls=st.integers(1, 5),
    consecutive=st.sampled_from([0, 3]),
    slow_after=st.sampled_from([None, 1.0]),
    slow_rate=st.sampled_from([0.5, 1.0]),
    permits=st.integers(1, 4),
    window_calls=st.sampled_from([0, 0, 100]),
    window=st.just(60.0),
)
RESULTS = st.lists(st.sampled_from([Outcome.OK, Outcome.FAILURE, Outcome.SLOW]), max_size=15)


@given(rules=RULES, results=RESULTS, trials=RESULTS)
@hypothesis_settings(max_examples=80)
def test_the_scripts_decide_as_the_core_does(valkey: Any, rules: Settings, results: list[Outcome], trials: list[Outcome]) -> None:
    names, machine = Names(f"same{next(numbers)}"), Machine(rules, 0.0)
    with redis.Redis.from_url(valkey.url) as client:

        def run(script: str, *arguments: Any, known: int = 0) -> list[Any]:
            asker = Asker(names, "one", "service", rules, known, Claim(), 0.5)
            return client.execute_command(*scripts.command(script, asker, *arguments))

        known = 0
        for outcome in results:
            machine.record(outcome, 1, 0.0, 0.5)
            bad = int(outcome is Outcome.FAILURE)
            counts = int(outcome is Outcome.OK), bad, int(outcome is Outcome.SLOW), bad, bad
            standing = scripts.standing(run("report", *counts, "", known=known))
            known = standing.version
            assert standing.state is machine.state
            assert standing.counts == machine.window.counts(0.0)
            assert standing.remaining == pytest.approx(machine.until, abs=0.5)
        if machine.state is State.CLOSED:
            return
        client.hset(names.of("service").state, "until", 1)  # its time is over
        now = machine.until
        for token, outcome in enumerate(trials):
            granted = run("acquire", token, 60_000, known=known)
            assert (scripts.trial(granted)[0] == 1) is machine.lease(token, now)
            known = scripts.standing(granted).version
            if machine.state is not State.HALF_OPEN:
                return
            standing = scripts.standing(run("settle", token, known, outcome, "", known=known))
            machine.settle(token, outcome, now, 0.5)
            assert (standing.state, standing.trips) == (machine.state, machine.trips)
            assert (standing.ramp_elapsed is None) is (machine.ramp_from is None)
