"""Whether Valkey is there: a breaker of its own, so that a dead Valkey costs nothing, and whoever comes back comes at a time of its own."""

from __future__ import annotations

from breakers.chance import random
from breakers.core.machine import Machine
from breakers.core.types import Outcome, Settings, State

OWN = Settings(consecutive=3, failure_threshold=1_000, timeout=0.25, timeout_cap=5.0, permits=1, permit_seconds=3_600.0, ramp=())
"""One lost answer is bad luck: trials wait. The third failure in a row means that Valkey is away: then each process goes on alone. An
attempt to connect always comes to an end, however long its thread was held up, so its lease is as good as for ever."""
_BETWEEN = 0.02
"""Seconds between two attempts to connect, while it is not given up."""


class Health:
    """``up`` is what the others go by."""

    def __init__(self, now: float) -> None:
        self._machine = Machine(OWN, now)
        self.up = self._away = False
        self._next = now
        self._trial = 0

    @property
    def given_up(self) -> bool:
        """Whether it failed too often; it is tried again after a while."""
        return self._machine.state is not State.CLOSED

    def due(self, now: float) -> float:
        """Seconds until it makes sense to connect."""
        return max(self._machine.wait(now), self._next - now, 0.0)

    def trying(self, now: float) -> None:
        """An attempt to connect begins."""
        self._next = now + _BETWEEN * (0.5 + random())
        if self._machine.tries(now):
            self._trial += 1
            self._machine.lease(self._trial, now)

    def succeeded(self, now: float) -> bool:
        """Valkey answered as it should. Whether that is news."""
        self._settle(Outcome.OK, now)
        news, self.up, self._away = not self.up, True, False
        return news

    def failed(self, now: float) -> bool:
        """It did not. Whether it is given up with that; once each time."""
        self._settle(Outcome.FAILURE, now)
        if self._machine.state is State.CLOSED:
            return False
        news, self.up, self._away = not self._away, False, True
        return news

    def _settle(self, outcome: Outcome, now: float) -> None:
        if self._machine.state is State.CLOSED:
            self._machine.record(outcome, 1, now, random())
        else:
            self._machine.settle(self._trial, outcome, now, random())
        self._machine.changes.clear()
