"""The leases of this process's trials: short, and renewed while their trials are under way.

So the place of a process that died is free again within ``LEASE`` seconds, while a slow trial keeps its own for as long as the breaker
gives it (``permit_seconds``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

if TYPE_CHECKING:
    from breakers.breaker import Breaker

LEASE, RENEW = 4.0, 1.0
"""Seconds that a trial is granted at a time, and between two renewals."""


class _Lease(Struct):
    """Of one trial: the version of the state that granted it, until when it is granted, until when it may be."""

    version: int
    until: float
    ends: float


class Leases:
    """Taken and dropped by any thread; renewed by the link's own. ``now`` is monotonic seconds."""

    def __init__(self) -> None:
        self._held: dict[tuple[Breaker, int], _Lease] = {}

    def take(self, breaker: Breaker, token: int, version: int, now: float) -> None:
        """A trial was granted (``first``)."""
        seconds = breaker.settings.permit_seconds
        self._held[breaker, token] = _Lease(version, now + min(LEASE, seconds), now + seconds)

    def drop(self, breaker: Breaker, token: int) -> None:
        """It is over, or nobody waits for it."""
        self._held.pop((breaker, token), None)

    def renewed(self, now: float, *, lost: bool) -> dict[Breaker, list[tuple[int, int]]]:
        """What to ask for now: of each breaker the tokens, each with the ms that it is granted from now on. Those of an earlier state, and
        those whose whole time is over, are forgotten. ``lost``: what was asked for last may not have arrived."""
        found: dict[Breaker, list[tuple[int, int]]] = {}
        for (breaker, token), lease in self._held.copy().items():  # a copy at a stroke: the garbage collector drops, too
            if lease.version != breaker.version or lease.ends <= now:
                self.drop(breaker, token)
            elif lost or lease.until < lease.ends:
                lease.until = min(now + LEASE, lease.ends)
                found.setdefault(breaker, []).append((token, int(1000 * (lease.until - now))))
        return found


def first(breaker: Breaker) -> int:
    """The ms that a trial of it is granted at first."""
    return int(1000 * min(LEASE, breaker.settings.permit_seconds))
