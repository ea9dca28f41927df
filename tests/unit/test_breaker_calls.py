"""The ways to call through a breaker, in one process."""

from __future__ import annotations

import asyncio
import pickle
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress

import pytest

from breakers.core.types import Outcome, Settings, State
from breakers.registry import Breaker, Open, Registry
from breakers.shared.health import Health


class Clock:
    """Time that goes when it is told to."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def registry(clock: Clock) -> Registry:
    return Registry(clock=clock)


@pytest.fixture
def breaker(registry: Registry) -> Breaker:
    return registry.get("service", timeout=10.0, ramp=(), excluded=(KeyError,))


def fail() -> None:
    raise ConnectionError("refused")


def fails(breaker: Breaker, times: int = 5) -> None:
    for _ in range(times):
        with pytest.raises(ConnectionError):
            breaker.execute(fail)


def test_it_opens_at_the_threshold_and_says_what_to_do(breaker: Breaker) -> None:
    fails(breaker, 4)
    assert breaker.allow()
    fails(breaker, 1)
    assert not breaker.allow()
    with pytest.raises(Open) as refused:
        breaker.execute(lambda: pytest.fail("it was called"))
    assert refused.value.name == "service"
    assert refused.value.state is State.OPEN
    assert 8.0 <= refused.value.retry_after <= 12.0
    assert "5 of 5 calls failed" in str(refused.value)
    assert "use a fallback" in str(refused.value)
    assert str(pickle.loads(pickle.dumps(refused.value))) == str(refused.value)  # noqa: S301


def test_a_fallback_answers_for_failures_and_refusals_but_not_for_what_is_excluded(breaker: Breaker) -> None:
    seen: list[BaseException] = []
    for _ in range(7):
        assert breaker.execute(lambda: fail() or "", lambda error: seen.append(error) or "cached") == "cached"
    assert [type(error) for error in seen] == [ConnectionError] * 5 + [Open] * 2
    other = breaker
    with pytest.raises(KeyError):
        Registry().get("x", excluded=(KeyError,)).execute(lambda: {}["a"], lambda error: "never")
    assert other.view().state is State.OPEN


def test_excluded_errors_count_nowhere(breaker: Breaker) -> None:
    for _ in range(20):
        with pytest.raises(KeyError):
            breaker.execute(lambda: {}["a"])
    for _ in range(20):
        with pytest.raises(Open):
            breaker.execute(lambda: raising(Open("inner", State.OPEN, 1.0, "")))
        with pytest.raises(KeyboardInterrupt):
            breaker.execute(lambda: raising(KeyboardInterrupt()))
    assert (breaker.view().calls, breaker.view().state) == (0, State.CLOSED)


def raising(error: BaseException) -> None:
    raise error


def test_trials_close_it_and_a_ramp_follows(registry: Registry, clock: Clock) -> None:
    breaker = registry.get("ramped", timeout=10.0)
    fails(breaker)
    clock.now += 12.0
    assert breaker.view().state is State.HALF_OPEN
    permits = [breaker.acquire() for _ in range(3)]
    for _ in range(5):
        with pytest.raises(Open):
            breaker.acquire()
    for permit in permits:
        permit.settle(Outcome.OK)
        permit.settle(Outcome.FAILURE)  # once is once
    assert breaker.view().state is State.CLOSED
    shares = []
    for _ in range(4):
        passed = 0
        for _ in range(400):
            with suppress(Open):
                breaker.acquire().settle(Outcome.OK)
                passed += 1
        shares.append(passed / 400)
        clock.now += 10.0
    assert [pytest.approx(share, abs=0.12) for share in shares] == [0.1, 0.25, 0.5, 1.0]
    assert shares[3] == 1.0
    assert breaker.allow()


def test_leases_of_trials_end_by_themselves(breaker: Breaker, clock: Clock) -> None:
    fails(breaker)
    clock.now += 12.0
    kept = [breaker.acquire() for _ in range(3)]
    clock.now += 29.0
    with pytest.raises(Open):
        breaker.acquire()
    clock.now += 1.0
    again = [breaker.acquire() for _ in range(3)]
    for permit in kept:
        permit.settle(Outcome.FAILURE)
    assert breaker.view().state is State.HALF_OPEN
    for permit in again:
        permit.settle(Outcome.OK)
    assert breaker.view().state is State.CLOSED


def test_a_forgotten_trial_gives_its_lease_back(breaker: Breaker, clock: Clock) -> None:
    fails(breaker)
    clock.now += 12.0
    for _ in range(10):
        breaker.acquire()  # and nobody keeps it
    assert breaker.view().state is State.HALF_OPEN


def test_it_may_decorate_and_wrap(breaker: Breaker) -> None:
    @breaker
    def double(number: int) -> int:
        """Twice as much."""
        return 2 * number

    assert double(4) == 8
    assert double.__doc__ == "Twice as much."
    with breaker, breaker:
        pass
    for _ in range(5):
        with pytest.raises(ConnectionError), breaker:
            fail()
    assert breaker.view().failures == 0, "opening forgets the window"
    with pytest.raises(Open):
        double(4)
    with pytest.raises(Open), breaker:
        pytest.fail("it came in")
    with pytest.raises(TypeError, match="generator"):

        @breaker
        def numbers() -> Iterator[int]:
            yield 1


def test_generators_may_leave_it_in_another_order_than_they_came_in(registry: Registry) -> None:
    one, other = registry.get("one"), registry.get("other")

    def inside(breaker: Breaker) -> Iterator[None]:
        with breaker:
            yield

    first, second = inside(one), inside(other)
    next(first), next(second)
    for each in (first, second):
        assert list(each) == []
    assert [one.view().calls, other.view().calls] == [1, 1]


def test_the_same_for_coroutines(breaker: Breaker) -> None:
    async def main() -> None:
        @breaker
        async def double(number: int) -> int:
            await asyncio.sleep(0)
            return 2 * number

        async def failing() -> int:
            raise ConnectionError

        async def slowly(error: BaseException) -> int:
            await asyncio.sleep(0)
            return -1

        assert await double(4) == 8
        async with breaker:
            pass
        assert breaker.view().calls == 2
        for _ in range(5):
            assert await breaker.aexecute(failing, slowly) == -1
        assert breaker.view().state is State.OPEN
        assert await breaker.aexecute(failing, lambda error: -2) == -2
        with pytest.raises(Open):
            await double(4)
        with pytest.raises(Open):
            async with breaker:
                pytest.fail("it came in")
        with pytest.raises(TypeError):

            @breaker
            async def stream() -> AsyncIterator[int]:
                yield 1

    asyncio.run(main())


def test_a_cancelled_call_is_no_failure(breaker: Breaker) -> None:
    async def main() -> None:
        tasks = [asyncio.create_task(breaker.aexecute(lambda: asyncio.sleep(60))) for _ in range(20)]
        await asyncio.sleep(0)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    asyncio.run(main())
    assert (breaker.view().calls, breaker.view().state) == (0, State.CLOSED)


def test_slow_successes_open_it_too(registry: Registry) -> None:
    breaker = registry.get("slow", slow_after=2.0)
    for seconds in (0.1, 0.1, 2.0, 3.0):
        breaker.acquire().settle(Outcome.OK, seconds)
    assert breaker.view().state is State.CLOSED
    breaker.acquire().settle(Outcome.OK, 2.5)
    assert breaker.view().state is State.OPEN
    assert breaker.view().why["sentence"] == "3 of 5 calls took 2 s or longer."


def test_threads_lose_no_result(registry: Registry) -> None:
    breaker = registry.get("busy", failure_threshold=1_000_000, window=60.0)

    def work() -> None:
        for number in range(5_000):
            breaker.acquire().settle(Outcome.FAILURE if number % 10 == 0 else Outcome.OK)

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    view = breaker.view()
    assert (view.calls, view.failures) == (40_000, 4_000)


def test_results_with_weights_count_as_many(breaker: Breaker) -> None:
    breaker.record(Outcome.OK, count=100)
    breaker.record(Outcome.FAILURE, count=7)
    assert (breaker.view().calls, breaker.view().failures) == (107, 7)


def test_listeners_hear_each_state_once_and_may_fail(registry: Registry, clock: Clock) -> None:
    heard: list[State] = []
    registry.on_change(lambda view: raising(RuntimeError("a bad listener")))
    registry.on_change(lambda view: heard.append(view.state))
    breaker = registry.get("service", timeout=10.0, ramp=())
    fails(breaker)
    clock.now += 12.0
    for _ in range(3):
        breaker.execute(lambda: None)
    assert heard == [State.OPEN, State.HALF_OPEN, State.CLOSED]


def test_the_first_settings_hold_and_stored_ones_go_before(registry: Registry, caplog: pytest.LogCaptureFixture) -> None:
    breaker = registry.get("service", timeout=10.0)
    for _ in range(3):
        assert registry.get("service", timeout=20.0) is breaker
    assert breaker.settings.timeout == 10.0
    assert caplog.text.count("other settings") == 1
    registry.apply("service", Settings(timeout=30.0, version=2))
    registry.apply("service", Settings(timeout=40.0, version=1))
    assert (breaker.settings.timeout, breaker.view().config_version) == (30.0, 2)
    with pytest.raises(ValueError, match="A person may ask for"):
        registry.apply("service", Settings(version=3), State.HALF_OPEN)


def test_a_pause_is_no_failure_and_ends_by_itself(registry: Registry, breaker: Breaker, clock: Clock) -> None:
    registry.throttle("service", 5_000)
    registry.throttle("service", 10)
    view = breaker.view()
    assert (view.state, view.remaining_ms, view.failures, view.trips) == (State.OPEN, 5_000, 0, 0)
    with pytest.raises(Open, match="asked for a pause"):
        breaker.acquire()
    clock.now += 5.0
    assert breaker.execute(lambda: 1) == 1
    assert breaker.view().state is State.CLOSED


def test_what_it_spared_is_counted_and_told_once(breaker: Breaker, registry: Registry) -> None:
    fails(breaker, 5)
    assert registry.saved() == []
    with pytest.raises(Open):
        breaker.acquire()
    assert breaker.execute(fail, lambda error: None) is None
    assert registry.saved() == [("service", 2, 1)] and registry.saved() == []


@pytest.mark.parametrize("held_up", [0.0, 60.0])
def test_that_valkey_is_away_is_told_once_and_forgotten_when_it_is_back(held_up: float) -> None:
    """However long the thread was held up between an attempt to connect and what came of it."""
    now, health = 1000.0, Health(1000.0)
    assert health.succeeded(now)
    for _ in range(2):
        assert [health.failed(now) for _ in range(3)] == [False, False, True]
        for _ in range(3):
            now += 10.0
            health.trying(now)
            now += held_up
            assert not health.failed(now)
        assert (health.up, health.given_up) == (False, True)
        now += 10.0
        health.trying(now)
        now += held_up
        assert health.succeeded(now)
        assert (health.up, health.given_up) == (True, False)
