"""The connections of one event loop to providers: kept while they are used, opened where none is free.

No proxies, redirects or cookies. Names are resolved by the system and remembered for half a minute; of several addresses the first that
answers is taken (Happy Eyeballs), and each is judged before it is connected to (``reach``).
"""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections import defaultdict
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from aiohappyeyeballs import start_connection
from msgspec import Struct

from breakers.gateway.ai.connection import Connection
from breakers.gateway.ai.reach import judged

KEPT_ALIVE = 15.0
"""Seconds; most servers keep an idle connection a little longer."""
ONE_READ = 64 * 1024
REMEMBERED = 30.0
_NEXT_ADDRESS = 0.25
"""Seconds that an address has before the next one is tried beside it."""
_MOST_NAMES = 256
_PASSES = 10
"""of the loop, in which connections are closed."""


class Place(Struct, frozen=True):
    """Where a provider is. ``private``: its address may be one."""

    host: str
    port: int
    secure: bool
    private: bool


class CannotConnect(Exception):
    """No connection: why."""


class TooSlow(Exception):
    """No connection in time."""


class Connections:
    """``public`` says of an address whether it belongs to the public net."""

    def __init__(self, public: Callable[[str], bool]) -> None:
        self._public = public
        self._buffer = memoryview(bytearray(ONE_READ))
        self._idle: defaultdict[Place, list[Connection]] = defaultdict(list)
        self._all: dict[Connection, Place] = {}
        self._names: dict[tuple[str, int], tuple[float, asyncio.Future[list[Any]]]] = {}
        self._tls: ssl.SSLContext | None = None
        self._sweep: asyncio.TimerHandle | None = None

    async def get(self, place: Place, patience: float) -> Connection:
        """One that is free, or a new one within ``patience`` seconds. Raises ``CannotConnect``, ``TooSlow``."""
        idle = self._idle[place]
        while idle:
            if (connection := idle.pop()).usable and not connection.has_news():
                return connection
            connection.abort()
        try:
            async with asyncio.timeout(patience):
                return await self._open(place)
        except TimeoutError:
            raise TooSlow from None

    async def close(self) -> None:
        """Ends them all."""
        if self._sweep is not None:
            self._sweep.cancel()
        for connection in list(self._all):
            connection.hang_up()
        for _ in range(_PASSES):
            if not self._all:
                return
            await asyncio.sleep(0)

    async def _open(self, place: Place) -> Connection:
        try:
            found = await self._addresses(place.host, place.port)
        except OSError:
            raise CannotConnect("its name cannot be resolved") from None
        loop = asyncio.get_running_loop()
        factory = None if place.private else judged(self._public)
        try:
            opened = await start_connection(found, happy_eyeballs_delay=_NEXT_ADDRESS, socket_factory=factory)
            try:
                _, connection = await loop.create_connection(self._made, sock=opened, **await self._security(place))
            except BaseException:
                opened.close()
                raise
        except PermissionError:
            raise CannotConnect("private address") from None
        except ssl.SSLError:
            raise CannotConnect("TLS failed") from None
        except (OSError, RuntimeError):
            raise CannotConnect("no connection") from None
        self._all[connection] = place
        return connection

    def _made(self) -> Connection:
        return Connection(self._buffer, self._done, self._lost)

    async def _security(self, place: Place) -> dict[str, Any]:
        if not place.secure:
            return {}
        if self._tls is None:  # reads the system's certificates: tens of milliseconds
            self._tls = await asyncio.to_thread(ssl.create_default_context)
        return {"ssl": self._tls, "server_hostname": place.host}

    async def _addresses(self, host: str, port: int) -> list[Any]:
        """Asked once by all who come at a time; a failure is not remembered."""
        until, asked = self._names.get((host, port), (0.0, None))
        if asked is None or time.monotonic() >= until or (asked.done() and (asked.cancelled() or asked.exception())):
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()
            asked = asyncio.ensure_future(asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM))
            asked.add_done_callback(lambda each: each.cancelled() or each.exception())  # who asked may have left
            self._names[host, port] = (time.monotonic() + REMEMBERED, asked)
        return await asyncio.shield(asked)

    def _done(self, connection: Connection) -> None:
        place = self._all.get(connection)
        if place is None:
            connection.abort()
            return
        connection.idle_since = time.monotonic()
        self._idle[place].append(connection)
        if self._sweep is None:
            self._sweep = asyncio.get_running_loop().call_later(KEPT_ALIVE, self._close_idle)

    def _lost(self, connection: Connection) -> None:
        place = self._all.pop(connection, None)
        if place is not None:
            with suppress(ValueError):
                self._idle[place].remove(connection)

    def _close_idle(self) -> None:
        self._sweep = None
        old = time.monotonic() - KEPT_ALIVE
        for idle in self._idle.values():
            for connection in [each for each in idle if each.idle_since <= old]:
                idle.remove(connection)
                connection.abort()
        if oldest := [idle[0].idle_since for idle in self._idle.values() if idle]:
            wait = max(0.1, min(oldest) + KEPT_ALIVE - time.monotonic())
            self._sweep = asyncio.get_running_loop().call_later(wait, self._close_idle)
