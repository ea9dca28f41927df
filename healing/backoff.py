"""How long a replay waits before the next attempt."""

from __future__ import annotations

from datetime import timedelta

AFTER_OUTAGE = timedelta(seconds=5)
AFTER_FAILURE = timedelta(seconds=1)
_FIRST, _LONGEST = timedelta(seconds=30), timedelta(hours=1)


def after_misfit(attempts: int) -> timedelta:
    """30 s, 1 min, 2 min … up to an hour, for writes that wait for the schema or for a parent row."""
    return min(_FIRST * 2 ** min(attempts - 1, 10), _LONGEST)
