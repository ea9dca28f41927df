"""What a process has counted and not reported yet."""

from __future__ import annotations

from breakers.core.types import Counts, Outcome


class Tally:
    """``tail``: failures since the last success; ``unbroken``: there was no success at all."""

    __slots__ = ("failures", "ok", "slow", "tail", "unbroken")

    def __init__(self) -> None:
        self.ok = self.failures = self.slow = self.tail = 0
        self.unbroken = True

    def add(self, outcome: Outcome, count: int) -> None:
        """Count so many of one kind."""
        if outcome is Outcome.FAILURE:
            self.failures += count
            self.tail += count
            return
        self.tail, self.unbroken = 0, False
        if outcome is Outcome.SLOW:
            self.slow += count
        else:
            self.ok += count

    @property
    def counts(self) -> Counts:
        """As a value."""
        return Counts(self.ok, self.failures, self.slow)

    def __bool__(self) -> bool:
        return bool(self.ok or self.failures or self.slow)
