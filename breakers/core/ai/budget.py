"""Retries are a share of the calls, so that they cannot multiply an outage."""

from __future__ import annotations

from collections import deque

WINDOW = 10


class RetryBudget:
    """At most ``max(floor, ratio * calls)`` retries within ten seconds. Time is an argument (seconds, any clock)."""

    def __init__(self) -> None:
        self._seconds: deque[list[int]] = deque()  # [second, calls, retries]

    def called(self, now: float) -> None:
        """Counts a call of a caller."""
        self._bucket(now)[1] += 1

    def take(self, now: float, ratio: float, floor: int) -> bool:
        """Whether one more retry may be made; counts it."""
        bucket = self._bucket(now)
        calls = sum(each[1] for each in self._seconds)
        if sum(each[2] for each in self._seconds) >= max(floor, int(ratio * calls)):
            return False
        bucket[2] += 1
        return True

    def _bucket(self, now: float) -> list[int]:
        second = int(now)
        while self._seconds and self._seconds[0][0] <= second - WINDOW:
            self._seconds.popleft()
        if not self._seconds or self._seconds[-1][0] < second:
            self._seconds.append([second, 0, 0])
        return self._seconds[-1]
