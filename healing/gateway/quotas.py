"""What one caller may take of the gateway: its key's own limits, and never all of the places for requests under way.

A key's limits (requests a minute, requests at a time, bytes of a body) hold over all processes, through Valkey by the script of the AI
gateway's limits; while Valkey is away each process counts for itself. A key without limits costs no round trip.
"""

from __future__ import annotations

import asyncio
import contextlib
from math import ceil

from breakers.gateway.ai.limits import Limits, Standing, Want
from breakers.gateway.ai.snapshot import Allowance
from breakers.gateway.ai.valkey import Valkey
from healing.gateway.auth import Caller, Quota
from healing.gateway.entropy import new_id
from healing.gateway.errors import DialectError

SHARE = 0.75
"""of the places for requests under way that one caller may hold: the rest find the door open."""


class Quotas:
    """Of one process and event loop. ``enter``, and then ``leave`` in a finally."""

    def __init__(self, redis_url: str, namespace: str, places: int) -> None:
        self._valkey = Valkey(redis_url, "limits of API keys hold for each process by itself")
        self._limits = Limits(self._valkey, f"{namespace}:data")
        self._most = max(1, int(places * SHARE))
        self._inside: dict[str, int] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def open(self) -> None:
        """Begins to keep the places of requests under way."""
        self._spawn(self._limits.keep_renewing())

    async def close(self) -> None:
        """Stops."""
        for task in list(self._tasks):
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError, Exception):
                await task
        await self._valkey.close()

    async def enter(self, caller: Caller, size: int) -> Want | None:
        """Lets a request of ``size`` bytes in; what it holds. Raises ``DialectError``: 413, 429, or 503 where the caller has its share."""
        inside = self._inside.get(caller.turn, 0)
        if inside >= self._most:
            raise _refused(503, "This caller has as many requests under way as one caller may", "Try again shortly.", 1)
        self._inside[caller.turn] = inside + 1  # before anything is waited for: who comes meanwhile counts it
        try:
            return None if caller.quota is None else await self._admit(caller.turn, caller.quota, size)
        except BaseException:
            self._out(caller)
            raise

    def leave(self, caller: Caller, want: Want | None) -> None:
        """Gives the place back."""
        self._out(caller)
        if want is not None:
            self._spawn(self._limits.release(want, 0, 0))

    def _out(self, caller: Caller) -> None:
        left = self._inside[caller.turn] - 1
        if left:
            self._inside[caller.turn] = left
        else:
            del self._inside[caller.turn]

    async def _admit(self, who: str, quota: Quota, size: int) -> Want | None:
        if quota.most_bytes and size > quota.most_bytes:
            said = f"The body is too large for this API key: {size} bytes, at most {quota.most_bytes}"
            raise DialectError("MG413", 413, said, None, "Send fewer rows at once, or have the key's limit raised.")
        if not (quota.requests_per_minute or quota.at_once):
            return None
        allowance = Allowance(requests_per_minute=quota.requests_per_minute, concurrency=quota.at_once)
        want = Want(id=new_id(), who=who, allowance=allowance, tokens=0, most=0)
        standing = await self._limits.admit(want)
        if standing.refused:
            raise _over(standing, quota)
        return want

    def _spawn(self, work: object) -> None:
        task = asyncio.ensure_future(work)  # type: ignore[call-overload]
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _over(standing: Standing, quota: Quota) -> DialectError:
    if standing.refused == "concurrency":
        said = f"{quota.at_once} requests of this API key are under way, and no more are allowed at a time"
        return _refused(429, said, "Send it again when one of them is answered.", 1)
    said = f"The limit of this API key is reached: {quota.requests_per_minute} requests a minute"
    return _refused(429, said, "Wait as long as Retry-After says, or have the key's limit raised.", max(1, ceil(standing.wait)))


def _refused(status: int, said: str, hint: str, wait: int) -> DialectError:
    return DialectError(f"MG{status}", status, said, "Nothing was written.", hint, (("Retry-After", str(wait)),))
