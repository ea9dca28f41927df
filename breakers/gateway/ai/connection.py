"""One connection to a provider: HTTP/1.1, read by llhttp, one question at a time.

What comes is kept until it is taken, ``KEPT`` bytes and one read of the socket at most; then the provider has to wait.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from contextlib import suppress
from typing import cast

from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

KEPT = 32 * 1024
MOST_DRY = 64 * 1024
"""Bytes that may come with nothing of an answer's body among them: headers, interim answers, trailers."""


class Broken(Exception):
    """The connection ended before its answer did, or what came is no HTTP."""


class Reply:
    """An answer as it comes. ``headers`` have lower-cased names; ``ended``: all has come, though ``some`` may still have to give it."""

    __slots__ = ("_connection", "_error", "_parts", "_size", "_waiter", "begun", "ended", "headers", "status")

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.status = 0
        self.headers: dict[str, str] = {}
        self.begun = self.ended = False
        self._parts: list[bytes] = []
        self._size = 0
        self._error: Broken | None = None
        self._waiter: asyncio.Future[None] | None = None

    async def head(self) -> None:
        """Returns when ``status`` and ``headers`` are there. Raises ``Broken``."""
        while not self.begun:
            await self._news()

    async def some(self) -> bytes:
        """What has come of the body, at least a byte; b"" at its end. Raises ``Broken``."""
        while not self._parts:
            if self.ended:
                return b""
            await self._news()
        parts, self._parts, self._size = self._parts, [], 0
        if not self.ended:
            self._connection.resume()
        return b"".join(parts) if len(parts) > 1 else parts[0]

    def close(self) -> None:
        """No more of it is wanted. Where it has ended, its connection has gone back already."""
        if not self.ended:
            self._connection.abort()

    def took(self, data: bytes) -> bool:
        """A part came; whether there is room for more."""
        self._parts.append(data)
        self._size += len(data)
        self.wake()
        return self._size <= KEPT

    def broke(self, error: Broken) -> None:
        """It will never be whole."""
        self._error = error
        self.wake()

    def wake(self) -> None:
        """There is news."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    async def _news(self) -> None:
        if self._error is not None:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter


class Connection(asyncio.BufferedProtocol):
    """``done`` is called when it may be used again, ``lost`` when it is closed. ``buffer`` may be shared by all connections of a loop:
    what is read into it is worked off before anybody else reads."""

    def __init__(self, buffer: memoryview, done: Callable[[Connection], None], lost: Callable[[Connection], None]) -> None:
        self._buffer, self._done, self._lost = buffer, done, lost
        self._transport: asyncio.Transport | None = None
        self._reply: Reply | None = None
        self._parser: HttpResponseParser | None = None
        self._dry = 0
        self._unread = select.poll()
        self._paused = self._keeps = self._interim = self._sized = self._spoiled = False
        self.idle_since = 0.0

    @property
    def usable(self) -> bool:
        """Whether it can be asked."""
        return self._transport is not None and not self._transport.is_closing() and self._reply is None

    def has_news(self) -> bool:
        """Whether something came that the loop has not read yet. Before a question that is the connection's end, or an answer that nobody
        asked for: whoever asked next would get it."""
        return bool(self._unread.poll(0))

    async def ask(self, data: bytes) -> Reply:
        """Sends a request; the answer when its headers are there. Raises ``Broken``."""
        assert self._transport is not None
        reply = self._reply = Reply(self)
        self._parser = HttpResponseParser(self)
        self._dry = 0
        self._keeps = self._interim = self._sized = False
        self._transport.write(data)
        try:
            await reply.head()
        except BaseException:
            reply.close()
            raise
        return reply

    def hang_up(self) -> None:
        """Close it, in order where nothing is under way."""
        if self._transport is not None and self.usable:
            self._transport.close()
        else:
            self.abort()

    def abort(self) -> None:
        """Close it at once."""
        if self._transport is not None:
            self._transport.abort()

    def resume(self) -> None:
        """There is room again."""
        if self._paused and self._transport is not None:
            self._paused = False
            with suppress(RuntimeError):  # it is closing
                self._transport.resume_reading()

    # what the event loop calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._unread.register(transport.get_extra_info("socket").fileno(), select.POLLIN)

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        if self._reply is None or self._parser is None:
            self.abort()  # nobody has asked
            return
        self._dry += nbytes
        try:
            self._parser.feed_data(self._buffer[:nbytes])
        except (HttpParserError, HttpParserUpgrade):
            self._give_up(Broken("no HTTP"))
            return
        if self._reply.ended:
            self._give_back()
        elif self._dry > MOST_DRY:
            self._give_up(Broken("endless headers"))

    def connection_lost(self, exc: Exception | None) -> None:
        reply, self._reply = self._reply, None
        if reply is not None and not reply.ended:
            if reply.begun and not self._sized and exc is None:  # its end is the connection's
                reply.ended = True
                reply.wake()
            else:
                reply.broke(Broken("the connection was cut"))
        self._lost(self)

    # what the parser calls

    def on_message_begin(self) -> None:
        self._spoiled = self._reply is None or self._reply.ended

    def on_header(self, name: bytes, value: bytes) -> None:
        if self._spoiled or self._reply is None:
            return
        key = name.decode("latin-1").lower()
        self._sized = self._sized or key in ("content-length", "transfer-encoding")
        self._reply.headers[key] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._spoiled or self._reply is None or self._parser is None:
            return
        status = self._parser.get_status_code()
        self._interim = status < 200  # 100, 103: the answer is still to come
        if self._interim:
            self._reply.headers.clear()
            self._sized = False
            return
        self._keeps = self._parser.should_keep_alive()
        self._reply.status, self._reply.begun = status, True
        self._reply.wake()

    def on_body(self, data: bytes) -> None:
        self._dry = 0
        if self._spoiled or self._reply is None or self._reply.took(data) or self._transport is None:
            return
        if not self._paused:
            self._paused = True
            self._transport.pause_reading()

    def on_message_complete(self) -> None:
        if not self._interim and self._reply is not None:
            self._reply.ended = True
            self._reply.wake()

    def _give_back(self) -> None:
        """The answer has come whole. Whoever answers before he has read the question, or says more than one answer, is left."""
        self._reply = self._parser = None
        assert self._transport is not None
        self.resume()
        if self._transport.get_write_buffer_size():  # to close it in order would be to wait until all of that is read
            self._transport.abort()
        elif self._keeps and not self._spoiled:
            self._done(self)
        else:
            self._transport.close()

    def _give_up(self, error: Broken) -> None:
        if self._reply is not None and not self._reply.ended:
            self._reply.broke(error)
        self.abort()
