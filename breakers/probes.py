"""How the trials of half-open breakers go: those under way, those that ended well, and those that failed. For people to look at."""

from __future__ import annotations

from collections.abc import Sequence

import redis
from msgspec import Struct
from redis.backoff import NoBackoff
from redis.retry import Retry

from breakers import valkey_address, where
from breakers.shared.keys import Names

PATIENCE = 0.1
"""Seconds to connect, and for each answer."""


class Probes(Struct, frozen=True):
    """Of one breaker, now."""

    running: int
    ok: int
    failed: int


def probes(names: Sequence[str]) -> dict[str, Probes]:
    """By name; nothing where Valkey does not answer."""
    place = where.current()
    if not names or not place.redis_url:
        return {}
    keys = [Names(place.namespace).of(name) for name in names]
    try:
        with valkey_address.client(
            place.redis_url, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, retry=Retry(NoBackoff(), 0)
        ) as client:
            pipe = client.pipeline(transaction=False)
            for each in keys:
                pipe.zcard(each.leases)
                pipe.hmget(each.state, "ok", "slow", "bad")
            answers = pipe.execute()
    except (redis.RedisError, OSError):
        return {}
    return {name: _probes(answers[2 * n], answers[2 * n + 1]) for n, name in enumerate(names)}


def _probes(running: int, ended: Sequence[bytes | None]) -> Probes:
    ok, slow, bad = (int(each or 0) for each in ended)
    return Probes(running, ok + slow, bad)
