"""This process's own way to Valkey for callers of the API: one client, made on first use, short of patience, and left alone for a moment
after it failed."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from typing import Any

from breakers import valkey_address
from breakers.shared.keys import checked
from breakers.shared.scripts import Command

log = logging.getLogger("mendgate.breakers")

PATIENCE = 1.0
"""Seconds for one question. The link, which has less, says long before that Valkey is away; then nothing is asked."""
CONNECTIONS = 50
PAUSE = 1.0
"""Seconds without a question after one was not answered."""


class Away(Exception):
    """Valkey does not answer now."""


class Shared:
    """``ask`` sends commands in one round trip. '' as the URL: there is no Valkey."""

    def __init__(self, redis_url: str, namespace: str) -> None:
        self.redis_url, self.names = redis_url, checked(namespace)
        self._client: Any = None
        self._silent_until = 0.0
        self._lost = False

    def linked(self, up: bool, _why: str) -> None:
        """The link of this process lost Valkey, or found it again."""
        self._lost, self._silent_until = not up, 0.0

    @property
    def away(self) -> bool:
        """Whether asking makes no sense now."""
        return not self.redis_url or self._lost or time.monotonic() < self._silent_until

    def own(self, what: str) -> str:
        """A key for what is of the API alone; all of these share one hash tag."""
        return f"{{{self.names.namespace}:edge}}:{what}"

    async def ask(self, commands: Sequence[Command]) -> list[Any]:
        """Their answers. Raises ``Away``."""
        if self.away:
            raise Away
        from redis.exceptions import RedisError  # here: a web process serves before it has loaded this

        try:
            async with asyncio.timeout(PATIENCE):
                answers = await self._send(commands)
        except (OSError, TimeoutError, RedisError) as error:
            if not self._silent_until:
                log.warning(
                    "breakers of edge functions count in this process alone, Valkey is away: %s", str(error) or type(error).__name__
                )
            self._silent_until = time.monotonic() + PAUSE
            raise Away from error
        self._silent_until = 0.0
        return answers

    async def _send(self, commands: Sequence[Command]) -> list[Any]:
        async with self.client().pipeline(transaction=False) as pipeline:
            for each in commands:
                pipeline.execute_command(*each)
            answers: list[Any] = await pipeline.execute()
            return answers

    def client(self) -> Any:
        """The client; every caller bounds its own waiting."""
        if self._client is None:
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff

            retry = Retry(NoBackoff(), 1)  # a connection that was cut meanwhile is made again
            bounds = {"socket_connect_timeout": PATIENCE, "retry": retry}
            self._client = valkey_address.async_client(self.redis_url, most=CONNECTIONS, wait=PATIENCE, **bounds)
        return self._client

    async def close(self) -> None:
        """Ends the connections."""
        if self._client is not None:
            await self._client.aclose()
