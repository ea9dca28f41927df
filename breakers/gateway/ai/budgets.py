"""What callers have spent in their periods: as the database says, and what this process adds to it.

How far a hard budget can be passed: a call is let in while what was spent, and the most that calls under way can cost, is below it. So
it is passed by one call at most, of all processes together, while Valkey is there to share the count; while it is away, by one call and
what the other processes let in since the database was last read (``READ_EVERY``, and a flush each second).
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from msgspec import Struct

SPENT = """
SELECT key, coalesce(sum(cost) FILTER (WHERE day >= $1), 0) AS day, coalesce(sum(cost) FILTER (WHERE day >= $2), 0) AS week,
    coalesce(sum(cost) FILTER (WHERE day >= $3), 0) AS month
FROM breakers_aispend WHERE day >= least($2, $3) GROUP BY key"""
READ_EVERY = 5.0
_LATE = 1.0
"""Seconds within which a call that was released is surely recorded."""


class Added(Struct, frozen=True):
    """What a call of this process cost."""

    at: float
    who: str
    cost: float


def begin_of(period: str, today: date) -> date:
    """The first day of the day, week (Monday) or month that holds ``today``."""
    if period == "week":
        return today - timedelta(days=today.weekday())
    return today.replace(day=1) if period == "month" else today


def end_of(period: str, today: date) -> date:
    """The first day of the next one."""
    begin = begin_of(period, today)
    if period == "month":
        return (begin + timedelta(days=32)).replace(day=1)
    return begin + timedelta(days=7 if period == "week" else 1)


def today() -> date:
    """The day in UTC."""
    return datetime.now(UTC).date()


class Budgets:
    """Of one process."""

    def __init__(self) -> None:
        self._read: dict[str, dict[str, float]] = {}
        self._begins: dict[str, date] = {}
        self._added: deque[Added] = deque()
        self._sums: dict[str, float] = {}
        """of ``_added``, by caller."""
        self.wanted = False
        """whether anybody has a budget."""

    @property
    def known(self) -> bool:
        """Whether the database was read for these periods."""
        return self._begins == _begins(today())

    def arguments(self) -> tuple[date, date, date]:
        """Of ``SPENT``, for now."""
        begins = _begins(today())
        return begins["day"], begins["week"], begins["month"]

    def take(self, records: Iterable[Any], begins: tuple[date, date, date], since: float) -> None:
        """What the database says; it has every call that was recorded before ``since``."""
        self._read = {r["key"]: {each: float(r[each]) for each in ("day", "week", "month")} for r in records}
        self._begins = dict(zip(("day", "week", "month"), begins, strict=True))
        while self._added and self._added[0].at < since - _LATE:
            gone = self._added.popleft()
            self._sums[gone.who] -= gone.cost
        if not self._added:
            self._sums.clear()

    def add(self, who: str, cost: float) -> None:
        """A call ended."""
        if cost > 0 and self.wanted:
            self._added.append(Added(time.monotonic(), who, cost))
            self._sums[who] = self._sums.get(who, 0.0) + cost

    def stored(self, who: str, period: str) -> float:
        """US dollars in the period of now, as the database said."""
        begin = begin_of(period, today())
        return self._read.get(who, {}).get(period, 0.0) if self._begins.get(period) == begin else 0.0

    def added(self, who: str) -> float:
        """US dollars that this process adds to that. A call may be in both for a moment, never in neither."""
        return max(self._sums.get(who, 0.0), 0.0)


def _begins(day: date) -> dict[str, date]:
    return {each: begin_of(each, day) for each in ("day", "week", "month")}
