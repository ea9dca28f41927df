"""The machine against a model that is plainly right: it keeps every result and every lease, and works each answer out anew."""

from __future__ import annotations

import copy

from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from breakers.core.machine import Machine
from breakers.core.types import Counts, Outcome, Settings, Standing, State

CHOICES = [
    Settings(
        failure_threshold=3,
        minimum_calls=3,
        window=10,
        timeout=4,
        timeout_cap=20,
        permits=3,
        permit_seconds=6,
        ramp=(0.25, 0.5),
        ramp_seconds=2,
    ),
    Settings(
        failure_threshold=2, minimum_calls=4, window=10, timeout=4, timeout_cap=20, permits=1, permit_seconds=2, ramp=(), consecutive=4
    ),
    Settings(
        failure_threshold=3, minimum_calls=5, failure_rate=0.8, window=20, timeout=2, permits=2, ramp=(0.5,), slow_after=1, slow_rate=0.6
    ),
    Settings(failure_threshold=2, minimum_calls=2, window_calls=4, window=10, timeout=4, permits=4, ramp=()),
    Settings(failure_threshold=3, minimum_calls=3, window=10, timeout=4, shadow=True),
]
COUNTED = [Outcome.OK, Outcome.FAILURE, Outcome.SLOW]
EXACT = 0.25
"""Times are multiples of it, and no two of the settings' limits fall between: so sums of floats are exact."""


class Model:
    """What a breaker is, in the plainest words."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.state, self.override = State.CLOSED, None
        self.until = self.throttled = self.closed_at = self.last_open = self.origin = 0.0
        self.ramp_from = None
        self.trips = self.opened = 0
        self.results: list[tuple[float, Outcome]] = []
        self.run: list[Outcome] = []
        self.leases: dict[int, float] = {}
        self.settled: list[Outcome] = []

    def held(self):
        return self.override or (State.SHADOW if self.settings.shadow else None)

    def window(self, now: float) -> Counts:
        if self.settings.window_calls:
            inside = [outcome for _, outcome in self.results][-self.settings.window_calls :]
        else:
            width = self.settings.window / 10
            bucket = (now - self.origin) // width
            inside = [outcome for at, outcome in self.results if (at - self.origin) // width > bucket - 10]
        return Counts(*(inside.count(each) for each in COUNTED))

    def forget(self, now: float) -> None:
        self.results, self.run, self.leases, self.settled, self.origin = [], [], {}, [], now

    def record(self, outcome: Outcome, count: int, now: float, chance: float) -> None:
        counting = self.state is State.CLOSED if self.held() is None else self.held() is State.SHADOW
        if not counting or outcome is Outcome.EXCLUDED:
            return
        self.results += [(now, outcome)] * count
        self.run += [outcome] * count
        if self.breaks(now):
            if self.held() is State.SHADOW:
                self.forget(now)
                return
            if now - self.closed_at >= self.settings.window and now - self.closed_at >= self.last_open:
                self.trips = 0
            self.open(now, chance)

    def breaks(self, now: float) -> bool:
        s, counts = self.settings, self.window(now)
        in_a_row = 0
        for outcome in reversed(self.run):
            if outcome is not Outcome.FAILURE:
                break
            in_a_row += 1
        if s.consecutive and in_a_row >= s.consecutive:
            return True
        if counts.calls < s.minimum_calls:
            return False
        failing = counts.failures >= s.failure_threshold and counts.failures / counts.calls >= s.failure_rate
        return failing or (s.slow_after is not None and counts.slow > 0 and counts.slow / counts.calls >= s.slow_rate)

    def open(self, now: float, chance: float) -> None:
        base = self.settings.timeout
        for _ in range(self.trips):
            base *= 2
        self.last_open = min(self.settings.timeout_cap, base) * (0.8 + 0.4 * chance)
        self.state, self.until, self.ramp_from = State.OPEN, now + self.last_open, None
        self.trips += 1
        self.opened += 1
        self.forget(now)

    def trying(self, now: float) -> bool:
        if self.held() is not None or now < self.throttled:
            return False
        return self.state is State.HALF_OPEN or (self.state is State.OPEN and now >= self.until)

    def lease(self, token: int, now: float) -> bool:
        if not self.trying(now):
            return False
        if self.state is State.OPEN:
            self.state = State.HALF_OPEN
            self.forget(now)
        live = [until for until in self.leases.values() if until > now]
        if not live and len(self.settled) >= self.settings.permits:
            self.settled = []
        if len(live) + len(self.settled) >= self.settings.permits:
            return False
        self.leases[token] = now + self.settings.permit_seconds
        return True

    def settle(self, token: int, outcome: Outcome, now: float, chance: float) -> None:
        until = self.leases.pop(token, 0.0)
        if until <= now or outcome is Outcome.EXCLUDED:
            return
        s = self.settings
        self.settled.append(outcome)
        failed, slow = self.settled.count(Outcome.FAILURE), self.settled.count(Outcome.SLOW)
        left = s.permits - len(self.settled)
        if (failed and failed / s.permits >= s.failure_rate) or (s.slow_after is not None and slow and slow / s.permits >= s.slow_rate):
            self.open(now, chance)
        elif left <= 0:
            self.close(now, ramp=bool(s.ramp))

    def close(self, now: float, *, ramp: bool) -> None:
        self.state, self.until, self.closed_at = State.CLOSED, 0.0, now
        self.ramp_from = now if ramp else None
        self.forget(now)

    def share(self, now: float) -> float:
        if self.ramp_from is None:
            return 1.0
        steps = [*self.settings.ramp, *[1.0] * 1000]
        return steps[int((now - self.ramp_from) // self.settings.ramp_seconds)]

    def passes(self, now: float) -> bool:
        held = self.held()
        if held is not None:
            return held in (State.DISABLED, State.SHADOW)
        return self.state is State.CLOSED and now >= self.throttled and self.share(now) == 1.0


class MachineIsTheModel(RuleBasedStateMachine):
    """Everything that can happen to a breaker, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.machine, self.model = Machine(CHOICES[0], 0.0), Model(CHOICES[0])
        self.tokens = 0
        self.epoch = 0

    @rule(steps=st.integers(1, 60))
    def time_passes(self, steps: int) -> None:
        self.now += steps * EXACT

    @rule(outcome=st.sampled_from(list(Outcome)), count=st.integers(1, 4), chance=st.sampled_from([0.0, 0.5]))
    def result(self, outcome: Outcome, count: int, chance: float) -> None:
        self.machine.record(outcome, count, self.now, chance)
        self.model.record(outcome, count, self.now, chance)

    @rule()
    def trial(self) -> None:
        self.tokens += 1
        assert self.machine.lease(self.tokens, self.now) is self.model.lease(self.tokens, self.now)

    @precondition(lambda self: self.machine.held is None and self.machine.state is not State.CLOSED)
    @rule(count=st.integers(1, 5), outcomes=st.lists(st.sampled_from([*COUNTED, Outcome.EXCLUDED]), max_size=5))
    def trials_at_the_first_moment(self, count: int, outcomes: list[Outcome]) -> None:
        while self.machine.wait(self.now) > 0:
            self.now += EXACT
        for _ in range(count):
            self.trial()
        for back, outcome in enumerate(outcomes):
            self.trial_ends(count - 1 - back if back < count else 0, outcome, 0.5)

    @precondition(lambda self: self.tokens)
    @rule(back=st.integers(0, 5), outcome=st.sampled_from(list(Outcome)), chance=st.sampled_from([0.0, 0.5]))
    def trial_ends(self, back: int, outcome: Outcome, chance: float) -> None:
        """Any trial: alive, over, of an earlier state, or settled twice."""
        token = max(1, self.tokens - back)
        self.machine.settle(token, outcome, self.now, chance)
        self.model.settle(token, outcome, self.now, chance)

    @rule(seconds=st.integers(1, 40))
    def throttled(self, seconds: int) -> None:
        before = self.machine.wait(self.now)
        self.machine.throttle(seconds * EXACT, self.now)
        self.model.throttled = max(self.model.throttled, self.now + seconds * EXACT)
        assert self.machine.wait(self.now) >= before

    @rule(override=st.sampled_from([None] * 8 + [State.CLOSED, State.FORCED_OPEN, State.DISABLED, State.SHADOW]))
    def person(self, override: State | None) -> None:
        self.machine.decree(override, "because", self.now)
        if override is State.CLOSED:
            self.model.override, self.model.throttled, self.model.trips = None, 0.0, 0
            self.model.close(self.now, ramp=False)
        elif override is not self.model.override:
            self.model.override = override
            self.model.forget(self.now)

    @rule(settings=st.sampled_from(CHOICES))
    def configured(self, settings: Settings) -> None:
        """Nothing is forgotten: what the window holds, in its own buckets or newly put, stays in it."""
        held, until = self.machine.window.counts(self.now), self.machine.until
        self.machine.configure(settings, self.now)
        model, old = self.model, self.model.settings
        if (old.window, old.window_calls) != (settings.window, settings.window_calls):
            kept = [
                (self.now, o)
                for o, n in ((Outcome.OK, held.ok), (Outcome.SLOW, held.slow), (Outcome.FAILURE, held.failures))
                for _ in range(n)
            ]
            model.results, model.origin = kept, self.now
        model.settings = settings
        assert self.machine.until == until

    @rule(state=st.sampled_from([State.CLOSED, State.OPEN, State.HALF_OPEN]), remaining=st.integers(0, 30), recovering=st.booleans())
    def shared(self, state: State, remaining: int, recovering: bool) -> None:
        """The shared breaker changed: its state is ours."""
        elapsed = 0.0 if recovering and state is State.CLOSED else None
        standing = Standing(state=state, version=1, remaining=remaining * EXACT, trips=2, ramp_elapsed=elapsed)
        self.machine.adopt(standing, self.now)
        model = self.model
        model.state, model.trips, model.closed_at = state, 2, self.now
        model.until = self.now + remaining * EXACT if state is State.OPEN else 0.0
        model.ramp_from = self.now if elapsed is not None else None
        model.forget(self.now)

    @invariant()
    def same(self) -> None:
        machine, model, now = self.machine, self.model, self.now
        assert (machine.state, machine.held, machine.trips, machine.until) == (model.state, model.held(), model.trips, model.until)
        assert machine.window.counts(now) == model.window(now)
        assert machine.passes(now) is model.passes(now)
        assert machine.tries(now) is model.trying(now)
        assert machine.share(now) == model.share(now)

    @rule()
    def no_wedge(self) -> None:
        """Whoever waits long enough is let through, unless a person holds it."""
        machine, much_later = copy.deepcopy(self.machine), self.now + 1_000_000.0
        assert machine.passes(much_later) or machine.lease(0, much_later) or machine.held is State.FORCED_OPEN

    @invariant()
    def epochs_fence(self) -> None:
        """A transition is a new epoch, and every change says why."""
        assert self.machine.epoch >= self.epoch
        if self.machine.changes:
            assert self.machine.epoch > self.epoch
        self.epoch = self.machine.epoch
        assert all(change.why["sentence"] for change in self.machine.changes)
        self.machine.changes.clear()


MachineIsTheModel.TestCase.settings = hypothesis_settings(max_examples=80, stateful_step_count=50, deadline=None)
TestMachineIsTheModel = MachineIsTheModel.TestCase
