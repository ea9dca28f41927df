"""One process's way to Valkey, for limits and the cache: short patience, and after a failure a pause in which nobody waits again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from typing import Any, TypeVar

from breakers import valkey_address
from breakers.chance import uniform

log = logging.getLogger("mendgate.ai")

PATIENCE = 0.1
"""Seconds for a connection, and for an answer."""
PAUSE = (0.5, 1.5)
"""Seconds after a failure in which Valkey is not asked, so that it costs one caller the patience and not each."""
LATE = 0.03
"""Seconds by which our own loop may be late before a timeout is taken as its fault, not Valkey's: then it is asked once more."""
CONNECTIONS = 8
"""A question takes a fraction of a millisecond, and opening a connection takes several."""
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
            answer = await self._patiently(question, client)
        except self._errors as error:
            self._pause(error)
            raise Away from error
        if self._lost:
            self._lost = False
            log.warning("Valkey answers again: %s", self._what)
        return answer

    async def _patiently(self, question: Callable[[Any], Awaitable[T]], client: Any) -> T:
        until = time.monotonic() + PATIENCE
        try:
            async with asyncio.timeout(PATIENCE):
                return await question(client)
        except TimeoutError:
            if time.monotonic() < until + LATE:
                raise
        async with asyncio.timeout(PATIENCE):
            return await question(client)

    async def eval(self, script: str, keys: list[str], *values: str | float) -> Any:
        """Runs a script (as text: proxies block SCRIPT). Raises ``Away``."""
        return await self.ask(lambda client: client.eval(script, len(keys), *keys, *values))

    async def open(self) -> None:
        """Imports the client and connects before the first caller needs it."""
        if self._url:
            with contextlib.suppress(Away):
                await self.ask(lambda client: client.ping())

    async def close(self) -> None:
        """Ends its connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _open(self) -> Any:
        async with self._opening:
            if self._client is None:
                module = await asyncio.to_thread(import_module, "redis.asyncio")
                longer = PATIENCE * 5  # ours is in force; these are a second net
                bounds = {"socket_timeout": longer, "socket_connect_timeout": longer}
                self._errors = (OSError, TimeoutError, asyncio.TimeoutError, module.RedisError)
                self._client = valkey_address.async_client(self._url, most=CONNECTIONS, wait=longer, **bounds)
        return self._client

    def _pause(self, error: BaseException) -> None:
        self._not_before = time.monotonic() + uniform(*PAUSE)
        if not self._lost:
            self._lost = True
            log.warning("Valkey is away: %s (%s)", self._what, str(error) or type(error).__name__)
