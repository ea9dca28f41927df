"""How many breakers callers of the API may make: names come from outside, and each is kept in memory and in Valkey.

With its name goes what its first caller wished for, so that every process counts by the same settings. A name that nobody used for a week
gives its place free. Breakers that exist already are not counted.
"""

from __future__ import annotations

import contextlib
import time
from collections import Counter
from collections.abc import Mapping
from typing import Any

import msgspec

from breakers.gateway.edge_errors import EdgeError, too_many
from breakers.gateway.edge_shared import Away, Shared
from breakers.shared.scripts import Command

MOST = 500
MOST_PER_KEY = 100
KEPT = 7 * 86_400
AGAIN = 30.0
"""Seconds until a name that is in use is noted again: Valkey may have been emptied."""
LOOK = 2.0
"""Seconds that the names made elsewhere are remembered."""
_NOTE = """
local now = tonumber(redis.call('TIME')[1])
for i = 1, 2 do
  for _, old in ipairs(redis.call('ZRANGEBYSCORE', KEYS[i], '-inf', now - ARGV[2])) do
    redis.call('ZREM', KEYS[i], old)
    if i == 1 then redis.call('HDEL', KEYS[3], old) end
  end
end
if not redis.call('ZSCORE', KEYS[1], ARGV[1]) then
  if redis.call('ZCARD', KEYS[1]) >= tonumber(ARGV[3]) then return 'all' end
  if redis.call('ZCARD', KEYS[2]) >= tonumber(ARGV[4]) then return 'key' end
  redis.call('ZADD', KEYS[2], now, ARGV[1])
  redis.call('HSET', KEYS[3], ARGV[1], ARGV[5])
end
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZADD', KEYS[2], 'XX', now, ARGV[1])
for i = 1, 3 do redis.call('EXPIRE', KEYS[i], ARGV[2]) end
return redis.call('HGET', KEYS[3], ARGV[1])
"""
Wishes = Mapping[str, Any]


def full(message: str = f"There are {MOST} breakers of callers already") -> EdgeError:
    """There may be no new name."""
    return too_many(message, "Take names from a closed set: one for each service you call, none with ids in it.")


class Made:
    """The breakers of one namespace that callers made."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._noted: dict[str, float] = {}
        self._mine: Counter[str] = Counter()
        self._known: dict[str, Wishes] = {}
        self._wished: dict[str, Wishes] = {}
        self._looked = float("-inf")

    async def admit(self, name: str, owner: str, wishes: Wishes) -> Wishes:
        """Notes that a name is in use; what its first caller wished for. Raises ``EdgeError`` 429 where there may be no new one."""
        wishes = self._wished.get(name) or self._known.get(name) or wishes
        if time.monotonic() < self._noted.get(name, 0.0):
            return wishes
        again = AGAIN
        keys = [self._shared.own("names"), self._shared.own(f"names:{owner}"), self._shared.own("wishes")]
        try:
            (said,) = await self._shared.ask([("EVAL", _NOTE, 3, *keys, name, KEPT, MOST, MOST_PER_KEY, msgspec.json.encode(wishes))])
        except Away:
            said, again = self._full_here(name, owner), LOOK  # Valkey is told as soon as it is there
        if said in (b"all", b"key"):
            raise full(f"This key has made {MOST_PER_KEY} breakers already") if said == b"key" else full()
        self._mine[owner] += name not in self._noted
        self._noted[name] = time.monotonic() + again
        self._wished[name] = msgspec.json.decode(said) if said else wishes
        return self._wished[name]

    def question(self, name: str) -> Command:
        """Whether Valkey knows the name."""
        return ("HEXISTS", self._shared.own("wishes"), name)

    def forgotten(self, name: str) -> None:
        """Valkey does not know it (any more): the next ``admit`` notes it again, with what its first caller wished for."""
        if name in self._noted:
            self._noted[name] = 0.0

    def _full_here(self, name: str, owner: str) -> bytes:
        if name in self._noted:
            return b""
        return b"all" if len(self._noted) >= MOST else b"key" if self._mine[owner] >= MOST_PER_KEY else b""

    async def everywhere(self, *, anew: bool) -> Mapping[str, Wishes]:
        """Those that callers of any process made, as of a moment ago."""
        if anew or time.monotonic() - self._looked >= LOOK:
            self._looked = time.monotonic()
            with contextlib.suppress(Away):
                (pairs,) = await self._shared.ask([("HGETALL", self._shared.own("wishes"))])
                found = pairs.items() if isinstance(pairs, dict) else zip(pairs[::2], pairs[1::2], strict=True)
                fresh = {name.decode(): msgspec.json.decode(wishes) for name, wishes in found}
                for name in self._wished.keys() - fresh.keys():
                    self.forgotten(name)
                both = {**self._known, **fresh}  # what an emptied Valkey forgot is still known here
                self._known = both if len(both) <= MOST else fresh
        return self._known
