"""What others' breakers fell into, each once, on a real Valkey."""

from __future__ import annotations

import itertools
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest
import redis

from breakers.core.types import Outcome, Settings, State
from breakers.registry import Breaker, Open, Permit, Registry
from breakers.shared import scripts
from breakers.shared.keys import Names
from breakers.shared.scripts import Asker, Claim
from tests.breaker_peer import Peer, calls, wait_for
from tests.breaker_valkey import OwnValkey
from tests.faulty_proxy import FaultyProxy
from tests.waiting import HANGS

QUICK = {"timeout": 0.1, "timeout_cap": 0.1, "ramp": (), "window": 60.0}
numbers = itertools.count(1)
Make = Callable[..., Registry]


@pytest.fixture
def namespace() -> str:
    return f"traps{next(numbers)}"


@pytest.fixture
def make(valkey_url: str, namespace: str) -> Iterator[Make]:
    """Registries, each as if it were a process of its own."""
    made: list[Registry] = []

    def make(source: str = "", url: str = valkey_url, space: str = namespace) -> Registry:
        made.append(Registry())
        made[-1].connect(url, namespace=space, source=source or f"node{len(made)}")
        return made[-1]

    yield make
    for registry in made:
        registry.close()


def shared(registry: Registry, name: str = "service", **settings: object) -> Breaker:
    """A breaker that has heard of the shared one."""
    breaker = registry.get(name, **{**QUICK, **settings})
    until(lambda: breaker.view().shared and breaker.version > 0)
    return breaker


def until(holds: Callable[[], object]) -> None:
    ends = time.monotonic() + HANGS
    while not holds():
        assert time.monotonic() < ends, "it did not come to pass"
        time.sleep(0.002)


def opened(breaker: Breaker) -> Breaker:
    """It is open for all, by its results."""
    calls(breaker, "failure", 5)
    until(lambda: breaker.standing is not None and breaker.standing.state is State.OPEN)
    return breaker


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
    return found[0]


def test_a_denied_probe_refreshes_no_lease(make: Make, valkey_url: str, namespace: str) -> None:
    one, other = (shared(make(), permits=1, permit_seconds=2.0) for _ in range(2))
    opened(one)
    abandoned = trial(one)
    began = time.monotonic()
    keys = Names(namespace).of("service")
    with redis.Redis.from_url(valkey_url) as client:
        lives = [client.pttl(keys.leases), client.pttl(keys.state)]
        asked = 0
        while True:
            asked += 1
            try:
                granted = other.acquire()
                break
            except Open:
                assert time.monotonic() - began < HANGS, "those who were denied keep the dead lease alive"
                if time.monotonic() - began < 0.5:
                    now = [client.pttl(keys.leases), client.pttl(keys.state)]
                    assert now <= lives
                    lives = now
                time.sleep(0.01)
    assert asked > 1
    assert time.monotonic() - began > 0.5
    granted.settle(Outcome.OK)
    until(lambda: one.view().state is State.CLOSED)
    abandoned.settle(Outcome.FAILURE)  # its lease is over: it says nothing any more
    time.sleep(0.05)
    assert other.view().state is State.CLOSED


def test_a_probe_whose_owner_was_killed_comes_free(make: Make, valkey_url: str, namespace: str) -> None:
    settings = {**QUICK, "permits": 1, "permit_seconds": 10 * HANGS}
    here = shared(make(), **settings)
    with Peer(valkey_url, namespace, "peer") as peer:
        peer.do("get", **settings)
        opened(here)
        peer.do("wait", state="half_open")
        until(lambda: peer.do("acquire") == "granted")
        with pytest.raises(Open):
            here.acquire()
        peer.kill()
    trial(here).settle(Outcome.OK)
    until(lambda: here.view().state is State.CLOSED)


def test_a_trial_whose_lease_ran_out_takes_its_place_again_only_where_it_is_free(valkey_url: str, namespace: str) -> None:
    """Its owner was held up, or Valkey was away. There are never more trials than are permitted."""
    names, settings = Names(namespace), Settings(**{**QUICK, "timeout": 60.0, "permits": 1, "permit_seconds": 600.0})
    keys = names.of("service")
    with redis.Redis.from_url(valkey_url) as client:

        def run(script: str, *arguments: object) -> int:
            answer = client.execute_command(*scripts.command(script, Asker(names, "a", "service", settings, 0, Claim(), 0.5), *arguments))
            return scripts.standing(answer).version

        def held() -> list[bytes]:
            seconds, micros = client.time()
            return client.zrangebyscore(keys.leases, seconds * 1000 + micros // 1000, "+inf")

        run("report", 0, 5, 0, 5, 1, "")
        client.hset(keys.state, "until", 1)  # its time is over
        version = run("acquire", "slow", 50)
        until(lambda: not held())
        run("acquire", "other", 600_000)
        run("renew", version, "slow", 600_000)
        assert held() == [b"other"]
        run("renew", version, "slow", 600_000, "other", 600_000)
        assert held() == [b"other"]
        run("settle", "other", version, Outcome.EXCLUDED, "")
        run("renew", version - 1, "slow", 600_000)  # a trial of an earlier state
        assert held() == []
        run("renew", version, "slow", 600_000)
        run("acquire", "other", 600_000)
        assert held() == [b"slow"]
        run("settle", "slow", version, Outcome.OK, "")
        run("renew", version, "slow", 600_000)
        assert held() == []


def test_a_trial_that_was_granted_and_never_heard_of_keeps_nobody_out(make: Make, valkey_url: str) -> None:
    """Its answer was lost, or that of its end: the lease goes back at once, not when its time is over."""
    with FaultyProxy(valkey_url) as proxy:
        for text, number in ((b"-- A trial's lease.", 1), (b"-- A trial's end.", 2)):
            breaker = shared(make(f"cut{number}", proxy.url), f"service{number}", permits=1, permit_seconds=10 * HANGS)
            opened(breaker)
            cuts = proxy.cuts
            proxy.cut(text, answered=True, times=2)
            until(lambda breaker=breaker: _landed(breaker))
            assert proxy.cuts > cuts


def _landed(breaker: Breaker) -> bool:
    with suppress(Open), breaker.acquire():
        pass
    return breaker.standing is not None and breaker.standing.state is State.CLOSED


def test_an_ignored_error_gives_its_permit_back(make: Make) -> None:
    registry = make()
    breaker = registry.get("service", excluded=(KeyError,), permits=1, permit_seconds=30.0, **QUICK)
    until(lambda: breaker.version)
    opened(breaker)
    until(lambda: breaker.view().state is State.HALF_OPEN)
    for _ in range(10):

        def asked() -> bool:
            try:
                breaker.execute(lambda: {}["missing"])
            except Open:
                return False
            except KeyError:
                return True
            return False

        until(asked)
    trial(breaker).settle(Outcome.OK)
    until(lambda: breaker.view().state is State.CLOSED)


def test_of_twenty_trials_at_once_exactly_the_permitted_go_through(make: Make, valkey_url: str, namespace: str) -> None:
    here = shared(make())
    with Peer(valkey_url, namespace, "a") as a, Peer(valkey_url, namespace, "b") as b:
        for peer in (a, b):
            peer.do("get", **QUICK)
        opened(here)
        for peer in (a, b):
            peer.do("wait", state="half_open")
        until(lambda: here.view().state is State.HALF_OPEN)
        granted: list[Permit | str] = []

        def ask_here() -> None:
            with suppress(Open):
                granted.append(here.acquire())

        def ask_there(peer: Peer) -> None:
            granted.extend("there" for _ in range(5) if peer.do("acquire") == "granted")

        threads = [threading.Thread(target=ask_here) for _ in range(10)]
        threads += [threading.Thread(target=ask_there, args=[peer]) for peer in (a, b)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        until(lambda: [ask_there(a), ask_here()] and len(granted) >= 3)  # an answer may come too late for the one who asked
        assert len(granted) == 3
        for permit in granted:
            if isinstance(permit, Permit):
                permit.settle(Outcome.OK)
                break
        else:
            a.do("settle", outcome="ok")
        for _ in range(3):  # a trial that has ended well is one of the three, too
            time.sleep(0.11)
            ask_there(b)
            ask_here()
        assert len(granted) == 3


def test_a_late_result_of_an_earlier_state_changes_nothing(make: Make) -> None:
    breaker, other = shared(make(), permits=2), shared(make(), permits=2)
    early = [breaker.acquire() for _ in range(5)]
    opened(other)
    until(lambda: breaker.view().state is State.HALF_OPEN)
    late = trial(breaker)
    trial(other).settle(Outcome.FAILURE)  # of 2, one is enough: opens again
    until(lambda: breaker.standing.state is State.OPEN)
    first = [trial(breaker), trial(other)]
    late.settle(Outcome.OK)  # belongs to the trials before
    first[0].settle(Outcome.OK)
    time.sleep(0.05)
    assert breaker.view().state is State.HALF_OPEN
    first[1].settle(Outcome.OK)
    until(lambda: breaker.view().state is State.CLOSED and other.view().state is State.CLOSED)
    for permit in early:
        permit.settle(Outcome.FAILURE, 0.0, "from before it opened")
    assert breaker.view().state is State.CLOSED
    assert breaker.view().failures == 0


def test_a_shorter_deadline_never_replaces_a_longer(make: Make, valkey_url: str, namespace: str) -> None:
    registry = make()
    breaker = shared(registry)
    with Peer(valkey_url, namespace, "peer") as peer:
        peer.do("get", **QUICK)
        registry.throttle("service", 600_000)
        peer.do("wait", state="open")
        peer.do("throttle", ms=50)
        peer.do("flush")
        registry.throttle("service", 20)
        time.sleep(0.15)
        assert peer.do("view")["remaining_ms"] > 400_000
        assert 400_000 < breaker.view().remaining_ms <= 600_000
        newcomer = shared(make())
        until(lambda: newcomer.view().remaining_ms > 400_000)
    opened_for = shared(registry, "other", timeout=500.0, timeout_cap=500.0)
    opened(opened_for)
    registry.throttle("other", 10)
    time.sleep(0.1)
    assert opened_for.view().remaining_ms > 300_000


def test_one_failure_of_one_is_not_a_hundred_percent(make: Make) -> None:
    registry = make()
    one, other = shared(registry), shared(make())
    for breaker in (one, other):
        calls(breaker, "failure", 1)
    until(lambda: registry.views()[0].failures == 2)
    assert [one.view().state, other.view().state] == [State.CLOSED, State.CLOSED]


def test_errors_of_valkey_are_not_swallowed(namespace: str, make: Make) -> None:
    """Refused, frozen, or forbidden to us: each is seen, told once, and costs callers nothing."""
    with OwnValkey() as valkey:
        with valkey.client() as client:
            client.execute_command("ACL", "SETUSER", "few", "on", ">secret", "~*", "&*", "+@all", "-eval")
        told: list[tuple[bool, str]] = []
        forbidden = make(url=f"redis://few:secret@127.0.0.1:{valkey.port}/0")
        forbidden.on_link(lambda up, why: told.append((up, why)))
        breaker = forbidden.get("service", **QUICK)
        until(lambda: told)
        assert not breaker.view().shared
        assert "permission" in told[0][1].lower()

        registry = make(url=valkey.url)
        edges: list[bool] = []
        registry.on_link(lambda up, why: edges.append(up))
        breaker = shared(registry)
        valkey.freeze()
        calls(breaker, "failure", 1)
        until(lambda: edges[-1:] == [False])
        calls(breaker, "failure", 4)
        assert breaker.view().state is not State.CLOSED, "alone, a process counts and opens for itself"
        time.sleep(0.6)
        valkey.stop()
        valkey.start()
        until(lambda: breaker.view().shared and edges[-1:] == [True])  # it is so just before it is told
        assert edges == [True, *([False, True] * (len(edges) // 2))], "each is told once"
        assert len(told) == 1


def test_an_override_during_an_outage_waits_and_does_not_come_back(namespace: str, make: Make) -> None:
    with OwnValkey() as valkey:
        operator, other = make(url=valkey.url), make(url=valkey.url)
        here, there = shared(operator), shared(other)
        valkey.stop()
        until(lambda: not here.view().shared and not there.view().shared)
        operator.apply("service", Settings(**QUICK, version=7), State.FORCED_OPEN, "a drill")
        assert here.view().pending
        assert here.view().state is State.FORCED_OPEN
        assert there.view().state is State.CLOSED
        operator.apply("service", Settings(**QUICK, version=8), None, "the drill is off")
        seen: list[State] = []
        other.on_change(lambda view: seen.append(view.state))
        valkey.start()
        until(lambda: here.view().shared and there.view().config_version == 8)
        until(lambda: not here.view().pending)
        time.sleep(0.3)
        assert State.FORCED_OPEN not in seen
        assert [here.view().state, there.view().state] == [State.CLOSED, State.CLOSED]

        operator.apply("service", Settings(**QUICK, version=9), State.FORCED_OPEN, "for good")
        until(lambda: there.view().state is State.FORCED_OPEN)
        assert not here.view().pending
        other.apply("service", Settings(**QUICK, version=8), None, "late news")  # an older version says nothing
        assert there.view().state is State.FORCED_OPEN
        with pytest.raises(Open, match="A person opened it"):
            there.acquire()
        with valkey.client() as client:  # nor from a process that knows no better
            old = Asker(Names(namespace), "old", "service", Settings(**QUICK, version=8), 0, Claim(), 0.5)
            answer = client.execute_command(*scripts.command("configure", old, 8, "", "from before"))
        assert (scripts.standing(answer).config_version, scripts.standing(answer).override) == (9, State.FORCED_OPEN)


def test_script_may_be_forbidden(make: Make) -> None:
    with OwnValkey() as valkey:
        with valkey.client() as client:
            client.execute_command("ACL", "SETUSER", "proxied", "on", ">secret", "~*", "&*", "+@all", "-script", "-evalsha")
        url = f"redis://proxied:secret@127.0.0.1:{valkey.port}/0"
        one, other = shared(make(url=url)), shared(make(url=url))
        opened(one)
        until(lambda: other.view().state is not State.CLOSED)
        for _ in range(3):
            trial(other).settle(Outcome.OK)
        until(lambda: one.view().state is State.CLOSED)


def test_time_is_not_counted_in_whole_seconds(make: Make) -> None:
    breaker, other = shared(make(), timeout=0.3, timeout_cap=0.3), shared(make(), timeout=0.3, timeout_cap=0.3)
    opened(breaker)
    assert breaker.view().remaining_ms <= 360
    until(lambda: other.view().state is not State.CLOSED)
    assert other.view().remaining_ms <= 360
    trial(other)


def test_no_two_breakers_share_keys(make: Make, valkey_url: str, namespace: str) -> None:
    registry, neighbour = make(), make(space=f"{namespace}:service")
    names = ["service", "service:state", "Service", "service:w:1", "config"]
    found = [shared(registry, name) for name in names]
    foreign = [shared(neighbour, name) for name in ("state", "w:1", "service")]
    opened(found[0])
    time.sleep(0.05)
    assert [each.view().state for each in found[1:] + foreign] == [State.CLOSED] * 7
    with redis.Redis.from_url(valkey_url) as client:
        ours = client.keys(f"*{namespace}*")  # others' limits and counters may still be there
    keys = {key.decode() for key in ours if not key.endswith(b":log")}
    tags = {f"{{{namespace}:{name}}}:" for name in names}
    tags |= {f"{{{namespace}%3Aservice:{name}}}:" for name in ("state", "w:1", "service")}
    assert len(tags) == 8
    assert all(sum(key.startswith(tag) for tag in tags) == 1 for key in keys)
    for name in ("a}b", "{a", " a", "", "a\nb", "x" * 121):
        with pytest.raises(ValueError, match="breaker's name"):
            registry.get(name)


def test_no_two_breakers_of_two_namespaces_share_keys() -> None:
    """Names hold colons ("ai:openai"), and so may a namespace."""
    pairs = [("a", "b:c"), ("a:b", "c"), ("a%3Ab", "c"), ("a%253Ab", "c"), ("a:", "b:c"), ("a", ":b:c")]
    assert len({Names(namespace).of(name).state for namespace, name in pairs}) == len(pairs)


def test_clocks_of_processes_are_never_compared(make: Make, valkey_url: str, namespace: str) -> None:
    settings = {**QUICK, "timeout": 2.0, "timeout_cap": 2.0, "permits": 1, "permit_seconds": 10.0}
    here = shared(make(), timeout=2.0, timeout_cap=2.0, permits=1, permit_seconds=10.0)
    with Peer(valkey_url, namespace, "hour ahead", 3600.0) as ahead, Peer(valkey_url, namespace, "hour behind", -3600.0) as behind:
        for peer in (ahead, behind):
            peer.do("get", **settings)
            peer.do("calls", outcome="ok", count=1)
            assert peer.do("flush")
        for peer in (ahead, behind):
            peer.do("calls", outcome="failure", count=4)
        until(lambda: here.view().state is not State.CLOSED)
        for remaining in (here.view().remaining_ms, ahead.do("view")["remaining_ms"], behind.do("view")["remaining_ms"]):
            assert remaining <= 2_400
        assert [peer.do("wait", state="half_open") for peer in (ahead, behind)] == ["half_open", "half_open"]
        until(lambda: ahead.do("acquire") == "granted")
        assert behind.do("acquire") == "half_open"
        ahead.do("settle", outcome="ok")
        until(lambda: here.view().state is State.CLOSED)
        assert behind.do("wait", state="closed") == "closed"
        assert wait_for(here, "closed") == "closed"
