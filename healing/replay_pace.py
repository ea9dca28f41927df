"""How fast kept writes are replayed: never faster than the cap, over all workers, and only as fast as the target has room.

The cap is one row (``ReplayPace``) that whoever claims writes moves on by their number: who comes before its time waits.
"""

from __future__ import annotations

import time

from django.db import connection

SHARE = 0.5
"""of the time that a worker's replays may keep the target busy. So a target that answers half as fast, because others need it, gets twice
the rest."""
_MOVE = """
INSERT INTO healing_replaypace AS pace (id, free_at) VALUES (1, clock_timestamp() + make_interval(secs => %(due)s))
ON CONFLICT (id) DO UPDATE SET free_at = GREATEST(pace.free_at, clock_timestamp()) + make_interval(secs => %(due)s)
RETURNING GREATEST(0, extract(epoch FROM free_at - clock_timestamp()))::float8
"""


def reserve(count: int, rate: int) -> float:
    """Enters ``count`` replays in the books of all workers. Returns the seconds until the next may begin; with 0, how long it still is."""
    with connection.cursor() as cursor:
        cursor.execute(_MOVE, {"due": count / rate})
        row = cursor.fetchone()
    return float(row[0]) if row else 0.0


class Pace:
    """The pace of one worker: what is taken is reserved at once, and the worker rests until both the cap and the target allow more."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._began, self._reserved = 0.0, 0.0

    def begin(self) -> None:
        """Waits for what others have reserved."""
        time.sleep(reserve(0, self._rate))

    def batch(self, most: int) -> int:
        """How many writes to take on: few where the cap is low, so that no second sees a burst."""
        return max(1, min(most, self._rate // 5))

    def takes(self, count: int) -> None:
        """So many writes are replayed from now on."""
        self._reserved, self._began = reserve(count, self._rate), time.monotonic()

    def rest(self) -> None:
        """They are through: waits until the next may begin."""
        took = time.monotonic() - self._began
        time.sleep(max(self._reserved - took, took * (1 - SHARE) / SHARE))
