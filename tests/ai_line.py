"""One connection to the fault server, byte by byte: reads requests (HTTP/1.1, kept alive), writes answers as they are meant, also wrong
ones, and notices at once when the other side hangs up."""

from __future__ import annotations

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from typing import Any, cast

from msgspec import Struct, field

LIMIT = 64 * 1024 * 1024
REASONS = {200: "OK", 302: "Found", 400: "Bad Request", 401: "Unauthorized", 404: "Not Found", 429: "Too Many Requests"}


class Asked(Struct):
    """One request as it came, and what became of it. Times by ``time.monotonic``."""

    number: int
    connection: int
    at: float
    method: str
    path: str
    headers: dict[str, str]
    body: Any
    fault: str = ""
    sent: str = ""
    """the text of the answer that went out so far."""
    answered: float | None = None
    """when the answer was whole (or as whole as the fault lets it be)."""
    closed: float | None = None
    """when the caller hung up before that."""
    peer: str = ""
    raw: bytes = field(default=b"")

    @property
    def model(self) -> str:
        return str(self.body.get("model", "")) if isinstance(self.body, dict) else ""

    @property
    def stream(self) -> bool:
        return isinstance(self.body, dict) and self.body.get("stream") is True

    @property
    def key(self) -> str:
        return self.headers.get("authorization", "").removeprefix("Bearer ")


Serve = Callable[["Line", str, str, dict[str, str], bytes], Awaitable[None]]


class Line(asyncio.Protocol):
    """``serve`` is called for each request; it answers through the methods here."""

    def __init__(self, number: int, serve: Serve, bound: float) -> None:
        self.number, self.serve, self.bound = number, serve, bound
        self.asked: Asked | None = None
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._task: asyncio.Task[None] | None = None
        self._resume = asyncio.Event()
        self._resume.set()
        self.chunked = False
        self.keep = True

    # what comes in

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        if self._task is None and len(self._buffer) <= LIMIT:
            self._next()

    def eof_received(self) -> bool:
        self._hung_up()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._hung_up()

    def pause_writing(self) -> None:
        self._resume.clear()

    def resume_writing(self) -> None:
        self._resume.set()

    def _hung_up(self) -> None:
        if self._task is not None:
            if self.asked is not None and self.asked.answered is None and self.asked.closed is None:
                self.asked.closed = time.monotonic()
            self._task.cancel()

    def _next(self) -> None:
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0:
            return
        first, *lines = self._buffer[:end].decode("latin-1").split("\r\n")
        method, path, _ = first.split(" ", 2)
        headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        if "chunked" in headers.get("transfer-encoding", ""):
            found = _unchunked(self._buffer, end + 4)
        else:
            stop = end + 4 + int(headers.get("content-length") or 0)
            found = (bytes(self._buffer[end + 4 : stop]), stop) if len(self._buffer) >= stop else None
        if found is None:
            return
        body, stop = found
        del self._buffer[:stop]
        self.keep = headers.get("connection", "").lower() != "close"
        self._task = asyncio.get_running_loop().create_task(self._run(method, path, headers, body))

    async def _run(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        try:
            async with asyncio.timeout(self.bound):
                await self.serve(self, method, path, headers, body)
            if self.asked is not None and self.asked.closed is None:
                self.asked.answered = time.monotonic()
        except TimeoutError:
            self.keep = False
        except asyncio.CancelledError:
            return
        self._task = None
        if not self.keep:
            self.close()
        elif self._buffer:
            self._next()

    # what goes out

    async def write(self, data: bytes) -> None:
        """These bytes and no others."""
        if self._transport is None or self._transport.is_closing():
            raise asyncio.CancelledError
        self._transport.write(data)
        if not self._resume.is_set():
            await self._resume.wait()

    async def head(self, status: int, kind: str, length: int | None, *headers: tuple[str, str]) -> None:
        """The head of an answer; without a length the body comes in chunks."""
        self.chunked = length is None
        framing = "transfer-encoding: chunked" if length is None else f"content-length: {length}"
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Other')}", f"content-type: {kind}", framing]
        lines += [f"{name}: {value}" for name, value in headers]
        await self.write("\r\n".join([*lines, "", ""]).encode("latin-1"))

    async def part(self, data: bytes) -> None:
        """Some of the body."""
        await self.write(b"%x\r\n%s\r\n" % (len(data), data) if self.chunked else data)

    async def end(self) -> None:
        """The end of the body."""
        if self.chunked:
            await self.write(b"0\r\n\r\n")

    async def whole(self, status: int, kind: str, body: bytes, *headers: tuple[str, str]) -> None:
        """A whole answer in one go."""
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Other')}", f"content-type: {kind}", f"content-length: {len(body)}"]
        lines += [f"{name}: {value}" for name, value in headers]
        await self.write("\r\n".join([*lines, "", ""]).encode("latin-1") + body)

    async def hang(self) -> None:
        """Nothing more, until the caller hangs up or the bound is over."""
        await asyncio.sleep(self.bound)

    def close(self) -> None:
        """Hang up in good order (FIN)."""
        if self._transport is not None:
            self._transport.close()

    def reset(self) -> None:
        """Hang up without any (RST)."""
        if self._transport is not None:
            connection = self._transport.get_extra_info("socket")
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self._transport.abort()


def _unchunked(buffer: bytearray, at: int) -> tuple[bytes, int] | None:
    parts = []
    while (line := buffer.find(b"\r\n", at)) >= 0:
        size = int(bytes(buffer[at:line]).split(b";")[0], 16)
        at = line + 2 + size + 2
        if len(buffer) < at:
            return None
        if size == 0:
            return b"".join(parts), at
        parts.append(bytes(buffer[line + 2 : line + 2 + size]))
    return None
