"""Answers that may be given again: the same question, word for word, by the same caller.

Used where the operator switched it on (``cache_seconds``) and the caller asks: ``Mendgate-Cache: on``. A question with a temperature
above 0 wants a new answer each time: it is kept only for ``Mendgate-Cache: any``. Nothing ever crosses from one API
key, or from one user with a token, to another.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import AiSnapshot
from breakers.gateway.ai.valkey import Away, Valkey

HEADER = "mendgate-cache"
MOST_EACH = 256 * 1024
MOST = 64 * 1024 * 1024
"""Bytes of all answers."""
_PUT = """
local entry, ends, sizes, size = KEYS[1], KEYS[2], KEYS[3], KEYS[4]
local body, life, most, tag, name = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), ARGV[4], ARGV[5]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)
local total = tonumber(redis.call('GET', size)) or 0
local function forget(each)
  total = total - (tonumber(redis.call('HGET', sizes, each)) or 0)
  redis.call('ZREM', ends, each)
  redis.call('HDEL', sizes, each)
  redis.call('DEL', tag .. ':' .. each)
end
for _, each in ipairs(redis.call('ZRANGEBYSCORE', ends, '-inf', now, 'LIMIT', 0, 1000)) do forget(each) end
forget(name)
while total + #body > most do
  local first = redis.call('ZRANGE', ends, 0, 0)[1]
  if not first then total = 0 break end
  forget(first)
end
redis.call('SET', entry, body, 'PX', life)
redis.call('ZADD', ends, now + life, name)
redis.call('HSET', sizes, name, #body)
redis.call('SET', size, total + #body)
"""
_IMMATERIAL = frozenset({"stream", "stream_options", "user", "metadata", "store", "safety_identifier", "prompt_cache_key"})


def is_wanted(header: str | None, body: Mapping[str, Any], snapshot: AiSnapshot) -> bool:
    """Whether the answer to ``body`` may come from the cache, and go there. ``header``: what the caller says in ``Mendgate-Cache``."""
    word = (header or "").strip().lower()
    if snapshot.cache_seconds <= 0 or word not in ("on", "any"):
        return False
    temperature = body.get("temperature")
    return word == "any" or not isinstance(temperature, int | float) or temperature <= 0


def key_of(caller: AiCaller, body: Mapping[str, Any], endpoint: str = "chat/completions") -> str:
    """Where the answer to ``body`` (the request, as sent) is kept; how it is transported does not matter."""
    question = {name: value for name, value in body.items() if name not in _IMMATERIAL}
    text = msgspec.json.encode([endpoint, caller.subject, question], order="deterministic")
    return f"{caller.key or caller.role}:{hashlib.sha256(text).hexdigest()}"


class Cache:
    """Whole answers, as bytes (a stream is kept as the whole that it adds up to). Without Valkey nothing is found and nothing is kept."""

    def __init__(self, settings: AiSettings) -> None:
        self._valkey = Valkey(settings.redis_url, "no AI answer comes from the cache")
        self._tag = f"{{{settings.namespace}:ai-cache}}"

    async def get(self, key: str) -> bytes | None:
        """The answer, or None."""
        if not self._valkey.usable:
            return None
        try:
            found: bytes | None = await self._valkey.ask(lambda client: client.get(f"{self._tag}:{key}"))
        except Away:
            return None
        return found

    async def put(self, key: str, body: bytes, seconds: float) -> None:
        """Keeps an answer; one that is too large is not kept. Where all are too large together, the next to expire goes first."""
        if len(body) > MOST_EACH or seconds <= 0:
            return
        with contextlib.suppress(Away):
            keys = [f"{self._tag}:{key}", f"{self._tag}:ends", f"{self._tag}:sizes", f"{self._tag}:size"]
            await self._valkey.ask(lambda client: client.eval(_PUT, len(keys), *keys, body, round(seconds * 1000), MOST, self._tag, key))

    async def close(self) -> None:
        """Ends its connections."""
        await self._valkey.close()
