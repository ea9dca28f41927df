"""One breaker's state machine as one process sees it. Time and chance are arguments; whoever calls it holds a lock.

    closed --a rule is broken--> open --its time is over, somebody asks--> half_open --trials succeed--> closed (with a ramp)
                                  ^----------------------------- trials fail ----'

Over this lie what people hold (``forced_open``, ``disabled``, ``shadow``; only people clear it) and a throttle (the service
said when to come back; it never counts as a failure). The shared breaker's standing is adopted whole (``adopt``). ``epoch`` changes with
every transition, and trials hold leases: a result that belongs to an earlier state is dropped.
"""

from __future__ import annotations

from typing import Any

from breakers.core import rules
from breakers.core.redact import redact
from breakers.core.types import HELD, Change, Counts, Outcome, Settings, Standing, State
from breakers.core.window import resized, window_of

_FIELDS = {Outcome.OK: "ok", Outcome.FAILURE: "failures", Outcome.SLOW: "slow"}


class Machine:
    """``now`` is monotonic seconds. What happened is added to ``changes``; the caller takes it from there."""

    def __init__(self, settings: Settings, now: float) -> None:
        self.settings = settings
        self.state = State.CLOSED
        self.override: State | None = None
        self.epoch = 0
        self.until = self.throttled = 0.0
        self.trips = self.run = 0
        self.ramp_from: float | None = None
        self.window = window_of(settings, now)
        self.trials = Counts()
        self.leases: dict[int, float] = {}
        self.error: str | None = None
        """the last failure as it was said; shown only redacted."""
        self.why: dict[str, Any] | None = None
        self.changes: list[Change] = []
        self._closed_at, self._last_open = now, 0.0

    # What it says

    @property
    def held(self) -> State | None:
        """The state that a person holds it in."""
        return self.override or (State.SHADOW if self.settings.shadow else None)

    def shown(self, now: float) -> State:
        """The state as people call it; a throttled one is open."""
        if self.held is not None:
            return self.held
        if self.state is State.OPEN:
            return State.OPEN if now < self.until or now < self.throttled else State.HALF_OPEN
        return State.OPEN if now < self.throttled else self.state

    def passes(self, now: float) -> bool:
        """Whether every call goes through unasked, until something happens."""
        if self.held is not None:
            return self.held is not State.FORCED_OPEN
        return self.state is State.CLOSED and now >= self.throttled and self.share(now) >= 1.0

    def share(self, now: float) -> float:
        """The part of the calls that is let through while closed."""
        return rules.share(self.settings, None if self.ramp_from is None else now - self.ramp_from)

    def wait(self, now: float) -> float:
        """Seconds until asking again makes sense; 0 = now."""
        until = self.until if self.state is State.OPEN else 0.0
        return max(0.0, until - now, self.throttled - now)

    def tries(self, now: float) -> bool:
        """Whether calls go through as trials only, each on a lease."""
        return self.held is None and self.state is not State.CLOSED and self.wait(now) <= 0.0

    # Results

    def record(self, outcome: Outcome, count: int, now: float, chance: float) -> None:
        """Results of calls that needed no lease. They count while it is closed (or in shadow)."""
        held = self.held
        if outcome is Outcome.EXCLUDED or held in (State.FORCED_OPEN, State.DISABLED) or (held is None and self.state is not State.CLOSED):
            return
        self.window.add(outcome, count, now)
        self.run = self.run + count if outcome is Outcome.FAILURE else 0
        counts = self.window.counts(now)
        rule = rules.broken(self.settings, counts, self.run)
        if rule is not None:
            self._broke(rule, counts, now, chance)

    def _broke(self, rule: str, counts: Counts, now: float, chance: float) -> None:
        why = self._why(rule, rules.sentence(rule, self.settings, counts, self.run), counts)
        if self.held is State.SHADOW:
            self._forget(now)
            self._changed(State.SHADOW, State.SHADOW, why)
            return
        if rules.forgiven(self.settings, now - self._closed_at, self._last_open):
            self.trips = 0
        self._open(why, now, chance)

    def _open(self, why: dict[str, Any], now: float, chance: float) -> None:
        before, self.state = self.state, State.OPEN
        self._last_open = rules.open_seconds(self.settings, self.trips, chance)
        self.until = now + self._last_open
        self.trips += 1
        self.ramp_from = None
        self._forget(now)
        self._changed(before, State.OPEN, {**why, "seconds": round(self._last_open, 3), "trips": self.trips})

    # Trials

    def lease(self, token: int, now: float) -> bool:
        """Takes a trial's lease, if one is left. A refusal changes nothing: it prolongs no other lease."""
        if not self.tries(now):
            return False
        if self.state is State.OPEN:
            self.state = State.HALF_OPEN
            self._forget(now)
            self._changed(State.OPEN, State.HALF_OPEN, {"rule": "time", "sentence": "Its time is over; trial calls go through."})
        self._bury(now)
        if not self.leases and self.trials.calls >= self.settings.permits:  # fewer are asked for than when they began: begin anew
            self.trials = Counts()
        if len(self.leases) + self.trials.calls >= self.settings.permits:
            return False
        self.leases[token] = now + self.settings.permit_seconds
        return True

    def free_at(self, now: float) -> float:
        """When a lease may be free at the latest, as far as can be told: the end of the oldest one."""
        return min(self.leases.values(), default=now)

    def settle(self, token: int, outcome: Outcome, now: float, chance: float) -> None:
        """A trial's end. One whose lease is over, or that belongs to an earlier state, is ignored."""
        self._bury(now)
        if self.leases.pop(token, None) is None or outcome is Outcome.EXCLUDED:
            return
        kind = _FIELDS[outcome]
        self.trials = Counts(**{**_fields(self.trials), kind: getattr(self.trials, kind) + 1})
        match rules.verdict(self.settings, self.trials):
            case State.OPEN:
                counts = self.trials
                said = f"{counts.failures} of {counts.calls} trial calls failed."
                self._open(self._why("trials", said, counts), now, chance)
            case State.CLOSED:
                self._close({"rule": "trials", "sentence": f"{self.trials.calls} trial calls ended well enough."}, now, ramp=True)

    def _bury(self, now: float) -> None:
        for token in [token for token, until in self.leases.items() if until <= now]:
            del self.leases[token]

    # What others decide

    def throttle(self, seconds: float, now: float) -> None:
        """Lets nothing through for so long. A deadline that is set already is never made shorter."""
        self.throttled = max(self.throttled, now + seconds)

    def configure(self, settings: Settings, now: float) -> None:
        """Other settings from now on. What was counted, and the time it stays open, remain."""
        old, self.settings = self.settings, settings
        if (old.window, old.window_calls) != (settings.window, settings.window_calls):
            self.window = resized(self.window, settings, now)

    def decree(self, override: State | None, reason: str, now: float) -> None:
        """A person's word: holds a state, closes it once (``CLOSED``), or lets go (None)."""
        before = self.shown(now)
        if override is State.CLOSED:
            self.override, self.throttled, self.trips = None, 0.0, 0
            self._close({"rule": "person", "sentence": reason}, now, ramp=False, before=before)
        elif override is not self.override:
            if override is not None and override not in HELD:
                raise ValueError(f"Nobody can hold a breaker in state {override}.")
            self.override = override
            self._forget(now)
            self._changed(before, self.shown(now), {"rule": "person", "sentence": reason})

    def adopt(self, standing: Standing, now: float) -> None:
        """The shared breaker's state becomes ours; what is known only here is forgotten. Whoever changed it has said so."""
        self.state, self.trips, self.why = standing.state, standing.trips, standing.why
        self.until = now + standing.remaining if standing.state is State.OPEN else 0.0
        self.ramp_from = None if standing.ramp_elapsed is None else now - standing.ramp_elapsed
        self._closed_at = now
        if (standing.why or {}).get("rule") == "person":  # closed by force: also against a pause that is known only here
            self.throttled = 0.0
        self._forget(now)

    def _close(self, why: dict[str, Any], now: float, *, ramp: bool, before: State | None = None) -> None:
        before = before or self.state
        self.state, self.until, self._closed_at = State.CLOSED, 0.0, now
        self.ramp_from = now if ramp and self.settings.ramp and self.settings.ramp_seconds else None
        self._forget(now)
        self._changed(before, State.CLOSED, why)

    def _forget(self, now: float) -> None:
        self.epoch += 1
        self.run = 0
        self.window.clear(now)
        self.leases, self.trials = {}, Counts()

    def _why(self, rule: str, sentence: str, counts: Counts) -> dict[str, Any]:
        why: dict[str, Any] = {"rule": rule, "sentence": sentence, "calls": counts.calls, "failures": counts.failures, "slow": counts.slow}
        why |= {"rate": round(counts.rate, 4), "config_version": self.settings.version}
        return why if self.error is None else {**why, "error": redact(self.error)}

    def _changed(self, before: State, after: State, why: dict[str, Any]) -> None:
        self.why = why
        self.changes.append(Change(before, after, why))


def _fields(counts: Counts) -> dict[str, int]:
    return {"ok": counts.ok, "failures": counts.failures, "slow": counts.slow}
