"""Which reports were counted already: one that carries an id counts once, however often it is sent."""

from __future__ import annotations

import hashlib
import time
from collections import OrderedDict
from collections.abc import Sequence

from breakers.gateway.edge_shared import Away, Shared

KEPT = 900
"""Seconds that an id is remembered."""
MOST = 20_000
"""Ids that this process remembers itself."""
MOST_OF_ONE = 50_000
"""Ids of one caller that Valkey remembers, for all processes; beyond that the oldest go first."""
_MARK = """
local seen, kept, most = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])
local clock = redis.call('TIME')
local now = clock[1] + clock[2] / 1000000
redis.call('ZREMRANGEBYSCORE', seen, '-inf', now)
local fresh = {}
for i = 3, #ARGV do fresh[i - 2] = redis.call('ZADD', seen, 'NX', now + kept, ARGV[i]) end
local over = redis.call('ZCARD', seen) - most
if over > 0 then redis.call('ZREMRANGEBYRANK', seen, 0, over - 1) end
redis.call('EXPIRE', seen, kept)
return fresh
"""


class Seen:
    """Ids of one namespace. Marked before they are counted: a process that ends in between loses a report rather than counts it twice."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._here: OrderedDict[str, float] = OrderedDict()

    async def fresh(self, owner: str, ids: Sequence[str]) -> list[bool]:
        """Whether each id comes for the first time; '' always does."""
        keys = [hashlib.sha256(f"{owner}\n{each}".encode()).hexdigest()[:40] if each else "" for each in ids]
        here = [not key or self._mark(key) for key in keys]
        asked = [key for key, new in zip(keys, here, strict=True) if key and new]
        elsewhere = await self._elsewhere(owner, asked)
        return [new and key not in elsewhere for key, new in zip(keys, here, strict=True)]

    async def _elsewhere(self, owner: str, keys: list[str]) -> set[str]:
        """Those that another process has marked."""
        if not keys:
            return set()
        try:
            (fresh,) = await self._shared.ask([("EVAL", _MARK, 1, self._shared.own(f"seen:{owner}"), KEPT, MOST_OF_ONE, *keys)])
        except Away:
            return set()
        return {key for key, new in zip(keys, fresh, strict=True) if not new}

    def _mark(self, key: str) -> bool:
        now = time.monotonic()
        while self._here and (len(self._here) >= MOST or next(iter(self._here.values())) < now):
            self._here.popitem(last=False)
        if key in self._here:
            return False
        self._here[key] = now + KEPT
        return True
