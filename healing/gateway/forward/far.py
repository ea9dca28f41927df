"""The connections to the upstream, and the breaker before each of its services."""

from __future__ import annotations

import math
from typing import Any

import aiohttp

from breakers import registry
from breakers.registry import Permit
from healing.gateway.errors import DialectError

CONNECT = 5.0
HEAD = {"functions": 400.0}
"""Seconds until an answer begins: functions may run that long, the rest has a minute."""
USUAL_HEAD = 60.0
STALL = 300.0
"""Seconds without a byte, either way, after which a connection is given up."""
MOST = 1_000
BUFFER = 64 * 1024
SETTINGS: dict[str, Any] = {"failure_threshold": 10, "minimum_calls": 10, "window": 20.0, "timeout": 2.0, "timeout_cap": 30.0, "permits": 3}
_AWAY = frozenset({502, 503, 504, 520, 521, 522, 523, 524, 525, 526, 530})


class Far:
    """Of one process."""

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @property
    def session(self) -> aiohttp.ClientSession:
        """No cookies, proxies or decoding of our own: what comes is what goes on."""
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=MOST + 100, keepalive_timeout=15.0, ttl_dns_cache=30)
            timeout = aiohttp.ClientTimeout(total=None, connect=CONNECT, sock_read=None)
            jar = aiohttp.DummyCookieJar()
            self._session = aiohttp.ClientSession(
                connector=connector, timeout=timeout, cookie_jar=jar, auto_decompress=False, read_bufsize=BUFFER, trust_env=False
            )
        return self._session

    async def close(self) -> None:
        """Ends them."""
        if self._session is not None:
            session, self._session = self._session, None
            await session.close()


async def permitted(service: str) -> Permit:
    """A permit for one call. Raises ``DialectError`` 503 where the service is known to be away."""
    try:
        return await registry.default.get(f"upstream:{service}", **SETTINGS).aacquire()
    except registry.Open as refusal:
        seconds = max(1, math.ceil(refusal.retry_after))
        why = f"Breaker upstream:{service} is {refusal.state.replace('_', ' ')}."
        hint = f"Send it again in {seconds} s."
        retry = (("Retry-After", str(seconds)),)
        raise DialectError("MG503", 503, f"The upstream's {service} does not answer; nothing was sent", why, hint, retry) from None


def is_away(service: str, status: int) -> bool:
    """Whether an answer says that the service itself is away. A function's own error says nothing of the others."""
    return status in _AWAY and service != "functions"


def unreachable(service: str, error: BaseException) -> DialectError:
    """Nobody there, or no answer in time."""
    if isinstance(error, TimeoutError):
        return DialectError("MG504", 504, f"The upstream's {service} did not answer in time", None, "What it did meanwhile is not known.")
    hint = "Is UPSTREAM_SUPABASE_URL right, and can it be reached from here?"
    return DialectError("MG502", 502, f"The upstream's {service} could not be reached", type(error).__name__, hint)
