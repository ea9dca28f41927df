"""A TCP proxy before Postgres that cuts the connection at a chosen moment: when a text passes by, before or after it went on."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit, urlunsplit


class CutProxy:
    """Forwards bytes both ways. ``cut`` = (text, forwarded): the next client message that holds the text ends the connection, after
    it was forwarded or instead of it. Each order cuts once."""

    def __init__(self, url: str) -> None:
        self._parts = urlsplit(url)
        self.cut: tuple[bytes, bool] | None = None
        self.cuts = 0
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The same database through the proxy."""
        assert self._server is not None
        port = self._server.sockets[0].getsockname()[1]
        userinfo = self._parts.netloc.rpartition("@")[0]
        return urlunsplit(self._parts._replace(netloc=f"{userinfo}@127.0.0.1:{port}"))

    async def __aenter__(self) -> CutProxy:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, onward = await asyncio.open_connection(self._parts.hostname, self._parts.port or 5432)
        answers = asyncio.create_task(self._answers(there, writer))
        try:
            while data := await reader.read(65536):
                if self.cut is not None and self.cut[0] in data:
                    forwarded = self.cut[1]
                    self.cut, self.cuts = None, self.cuts + 1
                    answers.cancel()
                    if forwarded:
                        onward.write(data)
                        await onward.drain()
                        await asyncio.sleep(0.1)  # time for Postgres to act on it
                    break
                onward.write(data)
                await onward.drain()
        except (ConnectionError, OSError):
            pass
        finally:
            answers.cancel()
            for side in (writer, onward):
                side.close()

    async def _answers(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await there.read(65536):
                writer.write(data)
                await writer.drain()
        except (ConnectionError, OSError):
            pass
        writer.close()
