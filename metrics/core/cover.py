"""Which points say what was counted in a stretch of time: days where they fit, hours and minutes at its edges. Pure.

>>> [part.resolution for part in cover(datetime(2026, 1, 1, 22, 58, tzinfo=UTC), datetime(2026, 1, 3, 0, 0, tzinfo=UTC))]
['m', 'h', 'd']
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from msgspec import Struct

MINUTE, HOUR, DAY = "m", "h", "d"
LENGTHS = {DAY: timedelta(days=1), HOUR: timedelta(hours=1), MINUTE: timedelta(minutes=1)}
COARSEST_FIRST = (DAY, HOUR, MINUTE)
_ZERO = datetime(2001, 1, 1, tzinfo=UTC)


class Part(Struct, frozen=True):
    """Points of one resolution, from ``start`` (in) to ``end`` (out)."""

    resolution: str
    start: datetime
    end: datetime


def cover(since: datetime, until: datetime, resolutions: tuple[str, ...] = COARSEST_FIRST) -> list[Part]:
    """Parts without gap or overlap, oldest first. The edges are widened to the finest of ``resolutions`` (coarsest first)."""
    if since >= until:
        return []
    step, *finer = resolutions
    length = LENGTHS[step]
    if not finer:
        return [Part(step, floor(since, length), ceiling(until, length))]
    start, end = ceiling(since, length), floor(until, length)
    if start >= end:
        return cover(since, until, tuple(finer))
    return [*cover(since, start, tuple(finer)), Part(step, start, end), *cover(end, until, tuple(finer))]


def floor(at: datetime, length: timedelta) -> datetime:
    """When the stretch of that length began that holds the moment (UTC)."""
    return _ZERO + (at - _ZERO) // length * length


def ceiling(at: datetime, length: timedelta) -> datetime:
    """The first beginning of such a stretch from that moment on."""
    down = floor(at, length)
    return down if down == at else down + length
