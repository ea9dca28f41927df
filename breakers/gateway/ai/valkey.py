"""One process's way to Valkey, for limits and the cache: short patience, and after a failure a pause in which nobody waits again."""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeVar

log = logging.getLogger("mendgate.ai")

PATIENCE = 0.1
"""Seconds for a connection, and for an answer."""
PAUSE = (0.5, 1.5)
"""Seconds after a failure in which Valkey is not asked, so that it costs one caller the patience and not each."""
CONNECTIONS = 32
T = TypeVar("T")


class Away(Exception):
    """Valkey does not answer, or there is none."""


class Valkey:
    """Connects when it is first used. ``what`` says in the log what does not work while it is away."""

    def __init__(self, url: str, what: str) -> None:
        self._url, self._what = url, what
        self._client: Any = None
        self._errors: tuple[type[BaseException], ...] = (OSError, TimeoutError)
        self._not_before = 0.0
        self._lost = False
        self._opening = asyncio.Lock()

    @property
    def usable(self) -> bool:
        """Whether it is worth asking now."""
        return bool(self._url) and time.monotonic() >= self._not_before

    async def ask(self, question: Callable[[Any], Awaitable[T]]) -> T:
        """What ``question`` gets from the client. Raises ``Away``."""
        if not self.usable:
            raise Away
        client = self._client or await self._open()
        try:
            async with asyncio.timeout(PATIENCE):
                answer = await question(client)
        except self._errors as error:
            self._pause(error)
            raise Away from error
        if self._lost:
            self._lost = False
            log.warning("Valkey answers again: %s", self._what)
        return answer

    async def eval(self, script: str, keys: list[str], *values: str | float) -> Any:
        """Runs a script (as text: proxies block SCRIPT). Raises ``Away``."""
        return await self.ask(lambda client: client.eval(script, len(keys), *keys, *values))

    async def open(self) -> None:
        """Imports the client before the first caller needs it."""
        if self._url:
            await self._open()

    async def close(self) -> None:
        """Ends its connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is None:
                module = await asyncio.to_thread(import_module, "redis.asyncio")
                pool = module.BlockingConnectionPool.from_url(
                    self._url, max_connections=CONNECTIONS, timeout=PATIENCE, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE
                )
                self._errors = (OSError, TimeoutError, asyncio.TimeoutError, module.RedisError)
                self._client = module.Redis.from_pool(pool)
        return self._client

    def _pause(self, error: BaseException) -> None:
        self._not_before = time.monotonic() + random.uniform(*PAUSE)  # noqa: S311  (so that processes do not come back at once)
        if not self._lost:
            self._lost = True
            log.warning("Valkey is away: %s (%s)", self._what, error or type(error).__name__)
