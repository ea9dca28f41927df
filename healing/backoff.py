"""How long a replay waits before the next attempt."""

from __future__ import annotations

from datetime import timedelta

AFTER_OUTAGE = timedelta(seconds=5)
AFTER_FAILURE = timedelta(seconds=1)
_FIRST, _LONGEST = timedelta(seconds=30), timedelta(hours=1)


def after_misfit(attempts: int) -> timedelta:
    """30 s, 1 min, 2 min … up to an hour, for writes that wait for the schema or for a parent row."""
    factor: int = 2 ** min(max(attempts - 1, 0), 10)
    return min(_FIRST * factor, _LONGEST)
