"""When to try again what could not be delivered: a message by itself, and a destination as a whole.

A message waits 5 s, 15 s, 45 s … up to 6 h, twelve attempts in about a day, each pause ±20 % so that a crowd comes apart. A
destination that failed five times in a row is left alone for a minute, then two, … up to half an hour; then one message tries.
"""

from __future__ import annotations

from datetime import timedelta

MAX_ATTEMPTS = 12
KEEP = timedelta(days=3)
"""A message that could not even be tried for so long is given up."""
OPENS_AT = 5
"""Failures in a row after which a destination is left alone."""
LONGEST_RETRY_AFTER = timedelta(hours=24)

_FIRST, _FACTOR, _LONGEST, _SPREAD = 5.0, 3, 6 * 3600.0, 0.2
_PAUSE, _LONGEST_PAUSE = timedelta(minutes=1), timedelta(minutes=30)


def pause_of_message(attempts: int, chance: float) -> timedelta | None:
    """The pause after that many attempts; None: give up. ``chance`` is in 0..1."""
    if attempts >= MAX_ATTEMPTS:
        return None
    seconds: float = min(_FIRST * _FACTOR ** max(attempts - 1, 0), _LONGEST)
    return timedelta(seconds=seconds * (1 - _SPREAD + 2 * _SPREAD * chance))


def pause_of_destination(failures: int) -> timedelta | None:
    """How long nothing is sent there after that many failures in a row; None: go on."""
    if failures < OPENS_AT:
        return None
    factor: int = 2 ** min(failures - OPENS_AT, 10)
    return min(_PAUSE * factor, _LONGEST_PAUSE)
