"""A lean HTTP/1.1 client over kept connections: a general one costs more than the servers that are measured here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

from msgspec import Struct


class Answer(Struct, frozen=True):
    """What came back. ``head`` is the raw head, names as the server wrote them."""

    status: int
    head: bytes
    body: bytes

    def header(self, name: str) -> str | None:
        """One header's value."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode("latin-1")
        return None


class Connection(asyncio.Protocol):
    """One connection, one request at a time. Answers must carry Content-Length (or no body at all: 204)."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._waiting: asyncio.Future[Answer] | None = None

    @classmethod
    async def open(cls, base_url: str) -> Connection:
        """Connected to the server of ``base_url``."""
        place = urlsplit(base_url)
        _, connection = await asyncio.get_running_loop().create_connection(cls, place.hostname, place.port)
        return connection

    async def send(self, request: bytes) -> Answer:
        """One request; its answer. Raises ``ConnectionError`` when it is cut off."""
        if self._transport is None or self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._waiting

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's are none by class

    def data_received(self, data: bytes) -> None:
        self._buffer = self._buffer + data if self._buffer else data
        end = self._buffer.find(b"\r\n\r\n")
        if end < 0 or self._waiting is None:
            return
        head = self._buffer[:end]
        size = _length(head)
        if len(self._buffer) >= end + 4 + size:
            body, self._buffer = self._buffer[end + 4 : end + 4 + size], self._buffer[end + 4 + size :]
            waiting, self._waiting = self._waiting, None
            if not waiting.done():
                waiting.set_result(Answer(int(head[9:12]), head, body))

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError("cut off"))


def request(method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """The bytes of a request."""
    lines = [f"{method} {path} HTTP/1.1", "host: 127.0.0.1", *(f"{name}: {value}" for name, value in headers.items())]
    if body:
        lines += ["content-type: application/json", f"content-length: {len(body)}"]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


class Block(Struct, frozen=True):
    """One measured stretch: requests per second, and the latencies in seconds, sorted."""

    rate: float
    latencies: list[float]

    def quantile(self, part: float) -> float:
        """The latency below which ``part`` of the requests are."""
        return self.latencies[min(len(self.latencies) - 1, int(len(self.latencies) * part))]


async def measure(base_url: str, make: Callable[[], bytes], clients: int, seconds: float) -> Block:
    """``clients`` connections send ``make()`` one after the other for ``seconds``. Raises where an answer is not 201."""
    connections = [await Connection.open(base_url) for _ in range(clients)]
    latencies: list[float] = []
    began = time.perf_counter()
    until = began + seconds
    async with asyncio.TaskGroup() as group:
        for connection in connections:
            group.create_task(_send_until(connection, make, until, latencies))
    took = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return Block(len(latencies) / took, sorted(latencies))


async def _send_until(connection: Connection, make: Callable[[], bytes], until: float, latencies: list[float]) -> None:
    clock = time.perf_counter
    while (began := clock()) < until:
        answer = await connection.send(make())
        latencies.append(clock() - began)
        if answer.status != 201:
            raise AssertionError(f"{answer.status}: {answer.body[:500]!r}")


def _length(head: bytes) -> int:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    return 0 if at < 0 else int(lower[at + 17 : (lower.find(b"\r\n", at + 2) + 1 or len(lower) + 1) - 1])
