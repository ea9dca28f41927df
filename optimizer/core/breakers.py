"""Breaker settings, judged by replay: the recorded calls go through the very state machine that decides, once with each candidate.

A call that the machine lets through ends as it did; one that it refuses spares its seconds if it failed, and costs an answer if it was
right. What was refused back then was not recorded, so a replay sees what got through.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct
from msgspec.structs import replace

from breakers.core.machine import Machine
from breakers.core.types import Outcome, Settings, State
from optimizer.core.guard import Knob, step_towards
from optimizer.core.idea import Expected, Idea

LEAST_CALLS, LEAST_FAILURES = 200, 10
WRONGLY_REFUSED = 3.0
"""how many spared failures a refused good call outweighs."""
A_SECOND = 0.1
"""what a second of waiting is worth, in spared failures."""
KNOBS = {
    name: Knob(name=name, title=title, unit=unit, low=low, high=high, group="", whole=whole, asks=True)
    for name, title, unit, low, high, whole in (
        ("failure_threshold", "Failures that open it", "failures", 2, 100, True),
        ("failure_rate", "Share of failures that opens it", "share", 0.05, 0.95, False),
        ("minimum_calls", "Fewest calls that count", "calls", 2, 200, True),
        ("timeout", "First open time", "seconds", 1, 600, False),
    )
}


class Call(Struct, frozen=True):
    """One recorded call: when it began (seconds), how it ended, how long it took."""

    at: float
    outcome: Outcome
    seconds: float


class Replayed(Struct, frozen=True):
    """What a breaker with some settings would have done. ``false_opens``: openings during which most calls were right."""

    calls: int = 0
    spared: int = 0
    refused_good: int = 0
    seconds_saved: float = 0.0
    opens: int = 0
    false_opens: int = 0
    gains: tuple[float, ...] = ()
    """by stretch of time, to tell luck from skill."""

    @property
    def gain(self) -> float:
        """In spared failures."""
        return self.spared + A_SECOND * self.seconds_saved - WRONGLY_REFUSED * self.refused_good


def replay(settings: Settings, calls: Sequence[Call], stretches: int = 20) -> Replayed:
    """One pass. Chance is one half everywhere: the jitter of the open time is left out."""
    machine = Machine(settings, calls[0].at if calls else 0.0)
    spared = good = opens = false_opens = 0
    saved = 0.0
    during = [0, 0]
    gains = [0.0] * stretches
    for number, call in enumerate(calls):
        place = number * stretches // len(calls)
        through = machine.passes(call.at) or (_shared(machine, call.at, number) if not machine.tries(call.at) else None)
        if through is None:
            through = machine.lease(number, call.at)
            if through:
                machine.settle(number, call.outcome, call.at, 0.5)
        elif through:
            machine.record(call.outcome, 1, call.at, 0.5)
        failed = call.outcome is Outcome.FAILURE
        if not through:
            during[failed] += 1
            spared, good, saved = spared + failed, good + (not failed), saved + (call.seconds if failed else 0.0)
            gains[place] += 1 + A_SECOND * call.seconds if failed else -WRONGLY_REFUSED
        for change in machine.changes:
            if change.after is State.OPEN:
                opens += 1
            elif change.after is State.CLOSED:
                false_opens += during[0] > during[1]
                during = [0, 0]
        machine.changes.clear()
    return Replayed(len(calls), spared, good, saved, opens, false_opens, tuple(gains))


def _shared(machine: Machine, now: float, number: int) -> bool | None:
    """While it comes back, a part of the calls goes through, evenly; False while it is open."""
    if machine.state is not State.CLOSED or machine.wait(now) > 0:
        return False
    share = machine.share(now)
    return int((number + 1) * share) > int(number * share)


def candidates(settings: Settings) -> Iterator[tuple[str, float, float]]:
    """(setting, old, new): one fifth up and down of each."""
    for name, knob in KNOBS.items():
        old = float(getattr(settings, name))
        for wanted in (old * 1.2, old * 0.8):
            new = step_towards(knob, old, wanted)
            if new != old:
                yield name, old, new


def changed(settings: Settings, name: str, value: float) -> Settings:
    """The settings with one value set; a whole number where one is asked for."""
    return replace(settings, **{name: int(value) if KNOBS[name].whole else value})


def tune(breaker: str, settings: Settings, calls: Sequence[Call], barred: Iterable[tuple[str, str]] = ()) -> Idea | None:
    """The best single step, where the recorded calls surely speak for it; None where they do not, or are too few."""
    failures = sum(call.outcome is Outcome.FAILURE for call in calls)
    if len(calls) < LEAST_CALLS or failures < LEAST_FAILURES:
        return None
    now, closed = replay(settings, calls), set(barred)
    best: tuple[tuple[float, float], str, float, float, Replayed] | None = None
    for name, old, new in candidates(settings):
        if (name, "up" if new > old else "down") in closed:
            continue
        then = replay(changed(settings, name, new), calls)
        if then.false_opens > now.false_opens:
            continue
        bounds = gain_bounds(now, then)
        if bounds[0] > 0 and (best is None or then.gain > best[4].gain):
            best = (bounds, name, old, new, then)
    return None if best is None else _idea(breaker, len(calls), now, *best)


def gain_bounds(now: Replayed, then: Replayed) -> tuple[float, float]:
    """A 90 % interval of the gain per thousand calls: the stretches drawn anew, by their mean and spread."""
    differences = [b - a for a, b in zip(now.gains, then.gains, strict=True)]
    count = len(differences)
    mean = sum(differences) / count
    spread = (sum((d - mean) ** 2 for d in differences) / max(1, count - 1) / count) ** 0.5
    scale = 1000 * count / max(1, now.calls)
    return (mean - 1.73 * spread) * scale, (mean + 1.73 * spread) * scale


def losses(now: Replayed, then: Replayed) -> list[float]:
    """What each stretch lost by the change, per call, so that neither busy nor quiet places drown in the scale of the test."""
    calls = max(1.0, now.calls / max(1, len(now.gains)))
    return [(a - b) / calls for a, b in zip(now.gains, then.gains, strict=True)]


def _idea(breaker: str, calls: int, now: Replayed, bounds: tuple[float, float], name: str, old: float, new: float, then: Replayed) -> Idea:
    gain = (then.gain - now.gain) * 1000 / calls
    said = f"{KNOBS[name].title.lower()} {old:g} → {new:g}"
    return Idea(
        kind="breaker", proposer="breaker replay", name=name, place=breaker, old=old, new=new,
        sentence=f"Breaker {breaker}: {said}. Of {calls} recorded calls it would have spared {then.spared} failures instead of "
        f"{now.spared} and refused {then.refused_good} good ones instead of {now.refused_good}.",
        evidence={"calls": calls, "now": _facts(now), "then": _facts(then)},
        expected=Expected("failures spared per 1,000 calls", gain, bounds[0], bounds[1], "failures"),
    )  # fmt: skip


def _facts(found: Replayed) -> dict[str, float]:
    names = ("spared", "refused_good", "seconds_saved", "opens", "false_opens")
    return {name: round(getattr(found, name), 3) for name in names}
