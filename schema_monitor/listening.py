"""How a process listens to a database for as long as it lives: a connection that is made again when it is lost, and a bell that rings
when something is to be looked at. Free of Django."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable

import asyncpg

GONE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError, asyncio.TimeoutError)
"""What a database that is away, or a way to it that broke, raises."""
PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
"""Seconds to wait after the first, second, … failure in a row."""


async def keep_listening(
    connect: Callable[[], Awaitable[asyncpg.Connection]],
    listen: Callable[[asyncpg.Connection], Awaitable[None]],
    log: logging.Logger,
    lost: str,
) -> None:
    """Runs ``listen`` on a connection of ``connect``, and again on a new one whenever it ends, until cancelled. ``lost`` says in the
    log what does not work meanwhile."""
    failures = 0
    while True:
        try:
            connection = await connect()
            try:
                failures = 0
                await listen(connection)
            finally:
                connection.terminate()
        except GONE as error:
            log.warning("%s: %s", lost, str(error) or type(error).__name__)
        except Exception:
            log.exception("%s", lost)
        await asyncio.sleep(PAUSES[min(failures, len(PAUSES) - 1)])
        failures += 1


async def ring(bell: asyncio.Event, every: float) -> None:
    """Until the bell rings, at most ``every`` seconds. It is silent afterwards, before anybody looks: what rings from here on is looked
    at again."""
    with contextlib.suppress(TimeoutError):
        # not wait_for: in Python 3.11 it loses a cancellation that comes together with what it waits for
        async with asyncio.timeout(every):
            await bell.wait()
    bell.clear()
