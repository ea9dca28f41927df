"""The results that count: of the last seconds, in buckets, or of the last calls. Each keeps its totals, so reading is free."""

from __future__ import annotations

from collections import deque
from typing import Protocol

from breakers.core.types import Counts, Outcome, Settings

BUCKETS = 10


class Window(Protocol):
    """What both kinds do. ``now`` is monotonic seconds and never goes back."""

    ends: float
    """when reading or adding must bring it up to date."""

    def add(self, outcome: Outcome, count: int, now: float) -> None:
        """Count so many results of one kind."""

    def counts(self, now: float) -> Counts:
        """What it holds now."""

    def clear(self, now: float) -> None:
        """Forget all."""


class TimeWindow:
    """The last ``seconds``, to a tenth of it: a result is forgotten after ``seconds``, or up to a tenth earlier."""

    def __init__(self, seconds: float, now: float) -> None:
        self._width = seconds / BUCKETS
        self.clear(now)

    def clear(self, now: float) -> None:
        """Forget all."""
        self._buckets: deque[list[int]] = deque([[0, 0, 0]], maxlen=BUCKETS)
        self._totals = [0, 0, 0]
        self.ends = now + self._width

    def add(self, outcome: Outcome, count: int, now: float) -> None:
        """Count so many results of one kind."""
        if now >= self.ends:
            self._roll(now)
        place = _PLACE[outcome]
        self._buckets[-1][place] += count
        self._totals[place] += count

    def counts(self, now: float) -> Counts:
        """What it holds now."""
        if now >= self.ends:
            self._roll(now)
        return Counts(*self._totals)

    def _roll(self, now: float) -> None:
        steps = int((now - self.ends) / self._width) + 1
        for _ in range(min(steps, BUCKETS)):
            if len(self._buckets) == BUCKETS:
                for place, count in enumerate(self._buckets[0]):
                    self._totals[place] -= count
            self._buckets.append([0, 0, 0])
        self.ends += steps * self._width


class CallWindow:
    """The last ``calls`` results."""

    ends = float("inf")

    def __init__(self, calls: int) -> None:
        self._size = calls
        self.clear(0.0)

    def clear(self, now: float) -> None:
        """Forget all."""
        self._ring: deque[int] = deque(maxlen=self._size)
        self._totals = [0, 0, 0]

    def add(self, outcome: Outcome, count: int, now: float) -> None:
        """Count so many results of one kind."""
        place = _PLACE[outcome]
        for _ in range(min(count, self._size)):
            if len(self._ring) == self._size:
                self._totals[self._ring[0]] -= 1
            self._ring.append(place)
            self._totals[place] += 1

    def counts(self, now: float) -> Counts:
        """What it holds now."""
        return Counts(*self._totals)


_PLACE = {Outcome.OK: 0, Outcome.FAILURE: 1, Outcome.SLOW: 2}


def window_of(settings: Settings, now: float) -> Window:
    """The window that the settings ask for, empty."""
    return CallWindow(settings.window_calls) if settings.window_calls else TimeWindow(settings.window, now)


def resized(window: Window, settings: Settings, now: float) -> Window:
    """A window for other settings that goes on from what this one holds (as if it had all come just now)."""
    held, new = window.counts(now), window_of(settings, now)
    for outcome, count in ((Outcome.OK, held.ok), (Outcome.SLOW, held.slow), (Outcome.FAILURE, held.failures)):
        if count:
            new.add(outcome, count, now)
    return new
