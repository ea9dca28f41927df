"""A TCP balancer, as small as can be: connections in turn to the servers whose ``/readyz`` says 200."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import threading
from collections.abc import Sequence

EVERY = 0.05
"""Seconds between two looks at a server."""


class Balancer:
    """In front of ``servers`` (host, port). ``sends_to`` and ``connections`` say what it does now; may be asked from any thread."""

    def __init__(self, servers: Sequence[tuple[str, int]]) -> None:
        self.servers = list(servers)
        self.port = 0
        self._ready = dict.fromkeys(self.servers, False)
        self._open = dict.fromkeys(self.servers, 0)
        self._turns = itertools.count()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Balancer:
        self._thread.start()
        asyncio.run_coroutine_threadsafe(self._start(), self._loop).result(60)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.run_coroutine_threadsafe(self._stop(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def sends_to(self, server: tuple[str, int]) -> bool:
        """Whether new connections may go there."""
        return self._ready[server]

    def connections(self, server: tuple[str, int]) -> int:
        """How many there are."""
        return self._open[server]

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        self._looking = [asyncio.create_task(self._look(each)) for each in self.servers]

    async def _stop(self) -> None:
        self._server.close()
        mine = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in mine:
            task.cancel()
        await asyncio.gather(*mine, return_exceptions=True)

    async def _look(self, server: tuple[str, int]) -> None:
        while True:
            try:
                async with asyncio.timeout(10):
                    self._ready[server] = await _says_ready(server)
            except (OSError, TimeoutError):
                self._ready[server] = False
            await asyncio.sleep(EVERY)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(asyncio.CancelledError):  # the end: nobody wants to hear of it
            for _ in self.servers:  # one that refuses the connection was sent nothing: the next one's turn
                ready = [each for each in self.servers if self._ready[each]]
                if not ready:
                    return
                server = ready[next(self._turns) % len(ready)]
                try:
                    there, onward = await asyncio.open_connection(*server)
                except OSError:
                    self._ready[server] = False
                    continue
                self._open[server] += 1
                try:
                    await self._relay(reader, writer, there, onward)
                finally:
                    self._open[server] -= 1
                return

    async def _relay(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, there: asyncio.StreamReader, onward: asyncio.StreamWriter
    ) -> None:
        """Until either side ends; what the server has said is passed on first."""
        with contextlib.closing(onward):
            asking = asyncio.create_task(_copy(reader, onward))
            answering = asyncio.create_task(_copy(there, writer))
            await asyncio.wait([asking, answering], return_when=asyncio.FIRST_COMPLETED)
            for task in (asking, answering):
                task.cancel()
            await asyncio.gather(asking, answering, return_exceptions=True)


async def _says_ready(server: tuple[str, int]) -> bool:
    reader, writer = await asyncio.open_connection(*server)
    with contextlib.closing(writer):
        writer.write(b"GET /readyz HTTP/1.1\r\nHost: balancer\r\nConnection: close\r\n\r\n")
        return b" 200 " in await reader.readline()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
