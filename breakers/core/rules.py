"""The rules of a breaker, one function each. Times are seconds; ``chance`` is a random number in [0, 1)."""

from __future__ import annotations

from breakers.core.types import Counts, Settings, State

MOST_DOUBLINGS = 30
JITTER = 0.2


def broken(settings: Settings, counts: Counts, run: int) -> str | None:
    """Which rule the results break: ``consecutive``, ``failure rate``, ``slow rate``, or None. ``run`` is failures in a row."""
    if settings.consecutive and run >= settings.consecutive:
        return "consecutive"
    calls = counts.ok + counts.failures + counts.slow
    if calls < settings.minimum_calls:
        return None
    if counts.failures >= settings.failure_threshold and counts.failures >= settings.failure_rate * calls:
        return "failure rate"
    if settings.slow_after is not None and counts.slow and counts.slow >= settings.slow_rate * calls:
        return "slow rate"
    return None


def open_seconds(settings: Settings, trips: int, chance: float) -> float:
    """How long it stays open after ``trips`` earlier openings in a row."""
    seconds = min(settings.timeout_cap, settings.timeout * 2.0 ** min(trips, MOST_DOUBLINGS))
    return seconds * (1.0 + JITTER * (2.0 * chance - 1.0))


def forgiven(settings: Settings, closed_for: float, last_open: float) -> bool:
    """Whether earlier openings no longer count: it has been closed as long as it was open, and a window at least."""
    return closed_for >= max(settings.window, last_open)


def share(settings: Settings, elapsed: float | None) -> float:
    """The part of the calls that is let through, so long after closing."""
    if elapsed is None or not settings.ramp_seconds:
        return 1.0
    step = int(elapsed / settings.ramp_seconds)
    return settings.ramp[step] if 0 <= step < len(settings.ramp) else 1.0


def verdict(settings: Settings, trials: Counts) -> State | None:
    """What the settled trials say: ``OPEN`` as soon as success is impossible, ``CLOSED`` when all are settled, else None."""
    slow = settings.slow_after is not None and _too_many(trials.slow, settings.slow_rate, settings.permits)
    if slow or _too_many(trials.failures, settings.failure_rate, settings.permits):
        return State.OPEN
    return State.CLOSED if trials.calls >= settings.permits else None


def sentence(rule: str, settings: Settings, counts: Counts, run: int) -> str:
    """The opening in words."""
    if rule == "consecutive":
        return f"{run} calls failed in a row."
    if rule == "slow rate":
        return f"{counts.slow} of {counts.calls} calls took {settings.slow_after:g} s or longer."
    return f"{counts.failures} of {counts.calls} calls failed."


def _too_many(bad: int, rate: float, permits: int) -> bool:
    return bad > 0 and bad >= rate * permits
