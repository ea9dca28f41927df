"""A TCP proxy before a scratch database that can cut every connection, or let nothing pass for a while, or all of it late."""

from __future__ import annotations

import asyncio
import contextlib
from urllib.parse import urlsplit, urlunsplit

from resilience_site.embedded_state import LOOPBACK


class Proxy:
    """Forwards bytes both ways. A context manager; use in one event loop."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self._pass = asyncio.Event()
        self._pass.set()
        self._writers: set[asyncio.StreamWriter] = set()
        self._serving: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.delay = 0.0
        """seconds by which whatever passes is late, each way."""

    @property
    def url(self) -> str:
        """The same database through the proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        userinfo = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{userinfo}@{LOOPBACK}:{port}"))

    def cut(self) -> None:
        """Ends every connection at once, in the middle of whatever passes."""
        for writer in list(self._writers):
            writer.transport.abort()

    def freeze(self) -> None:
        """Nothing passes any more, and nobody is told."""
        self._pass.clear()

    def thaw(self) -> None:
        """What waited goes on."""
        self._pass.set()

    async def __aenter__(self) -> Proxy:
        self._server = await asyncio.start_server(self._serve, LOOPBACK, 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()
        for task in list(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        with contextlib.suppress(asyncio.CancelledError):
            await self._connected(reader, writer)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        onward: asyncio.StreamWriter | None = None
        try:
            there, onward = await asyncio.open_connection(self._parts.hostname, self._parts.port)
            self._writers.add(onward)
            ways = [asyncio.create_task(self._forward(reader, onward)), asyncio.create_task(self._forward(there, writer))]
            try:
                await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for way in ways:
                    way.cancel()
                await asyncio.gather(*ways, return_exceptions=True)
        except OSError:
            pass  # the database is away
        finally:
            for each in (writer, onward):
                if each is not None:
                    each.transport.abort()
                    self._writers.discard(each)

    async def _forward(self, source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while data := await source.read(65536):
                if self.delay:
                    await asyncio.sleep(self.delay)
                await self._pass.wait()
                sink.write(data)
                await sink.drain()
