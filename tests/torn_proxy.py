"""A proxy on the event loop that hands bytes on in pieces of a random size, and cuts a connection behind a random byte of either way."""

from __future__ import annotations

import asyncio
import contextlib
import random
from urllib.parse import urlsplit, urlunsplit

SIZES = (1, 3, 40, 1000, 65_536)
"""Most bytes of a piece; a connection keeps to one of them."""


class TornProxy:
    """Between ``url`` and whoever goes to ``through``. ``cuts`` of a thousand pieces end their connection, in the middle of the piece."""

    def __init__(self, url: str, seed: int, cuts: float = 0.0) -> None:
        self._parts, self._dice, self.cuts = urlsplit(url), random.Random(seed), cuts  # noqa: S311
        self._tasks: set[asyncio.Task[None]] = set()
        self.cut = 0

    async def __aenter__(self) -> TornProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        userinfo = self._parts.netloc.rpartition("@")[0]
        port = self._server.sockets[0].getsockname()[1]
        self.through = urlunsplit(self._parts._replace(netloc=f"{userinfo}@127.0.0.1:{port}"))
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        there_reader, there_writer = await asyncio.open_connection(self._parts.hostname, self._parts.port)
        most = self._dice.choice(SIZES)
        ways = [asyncio.ensure_future(self._pass(*way, most)) for way in ((reader, there_writer), (there_reader, writer))]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)
            for end in (writer, there_writer):
                end.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int) -> None:
        with contextlib.suppress(OSError):
            while data := await reader.read(self._dice.randint(1, most)):
                if self._dice.random() * 1000 < self.cuts:
                    self.cut += 1
                    writer.write(data[: self._dice.randrange(len(data))])
                    await writer.drain()
                    return
                writer.write(data)
                await writer.drain()
                await asyncio.sleep(0)
