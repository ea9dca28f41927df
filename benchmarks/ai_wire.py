"""A lean client of OpenAI's dialect over kept connections: plain answers and streams, at a fixed rate or all at once."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Mapping
from typing import cast
from urllib.parse import urlsplit

from msgspec import Struct

from benchmarks.wire import request

MARK = b"<"  # the fault server's words begin with it, and nothing else in a stream has it
END = b"0\r\n\r\n"


class Heard(Struct, frozen=True):
    """An answer. Seconds since it was asked, connecting included: until its first word, until its end."""

    status: int
    head: bytes
    body: bytes
    first: float
    whole: float

    def header(self, name: str) -> str:
        """One header's value, or ''."""
        for line in self.head.split(b"\r\n")[1:]:
            key, _, value = line.partition(b":")
            if key.strip().lower() == name.lower().encode():
                return value.strip().decode("latin-1")
        return ""

    def text(self) -> str:
        """What the model said, plain or streamed; raises where a stream is not whole."""
        if not self.header("content-type").startswith("text/event-stream"):
            return str(json.loads(self.body)["choices"][0]["message"]["content"])
        lines = [line[5:].strip() for line in self.body.split(b"\n") if line.startswith(b"data:")]
        if not lines or lines[-1] != b"[DONE]":
            raise AssertionError(f"the stream is not whole: {self.body[-300:]!r}")
        choices = [choice for line in lines[:-1] for choice in json.loads(line)["choices"][:1]]
        return "".join(choice["delta"].get("content") or "" for choice in choices)


class Talk(asyncio.Protocol):
    """One connection, one request at a time."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = bytearray()
        self._waiting: asyncio.Future[Heard] | None = None
        self._since = self._first = 0.0
        self._end = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    async def ask(self, data: bytes, since: float) -> Heard:
        """One request; times count from ``since`` (``time.perf_counter``)."""
        assert self._transport is not None
        if self._transport.is_closing():
            raise ConnectionResetError("the connection is closed")
        self._buffer.clear()
        self._since, self._first, self._end = since, 0.0, -1
        self._waiting = asyncio.get_running_loop().create_future()
        self._transport.write(data)
        return await self._waiting

    @property
    def is_open(self) -> bool:
        """Whether it can be used."""
        return self._transport is not None and not self._transport.is_closing()

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def data_received(self, data: bytes) -> None:
        now = time.perf_counter()
        self._buffer += data
        if self._end < 0:
            self._end = self._buffer.find(b"\r\n\r\n")
            if self._end < 0:
                return
        if not self._first and self._buffer.find(MARK, max(self._end, len(self._buffer) - len(data))) >= 0:
            self._first = now - self._since
        head = bytes(self._buffer[: self._end])
        size = _length(head)
        if size is None:
            if self._buffer.endswith(END):
                self._heard(head, _joined(bytes(self._buffer[self._end + 4 :])), now)
        elif len(self._buffer) >= self._end + 4 + size:
            self._heard(head, bytes(self._buffer[self._end + 4 : self._end + 4 + size]), now)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_exception(ConnectionResetError("cut off"))

    def _heard(self, head: bytes, body: bytes, now: float) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(Heard(int(head[9:12]), head, body, self._first or now - self._since, now - self._since))


class Pool:
    """Connections to one server, as many as are needed at a time."""

    def __init__(self, base_url: str) -> None:
        place = urlsplit(base_url)
        self._host, self._port, self._free = place.hostname, place.port, list[Talk]()

    async def ask(self, data: bytes) -> Heard:
        """One request on a free connection."""
        since = time.perf_counter()
        talk = self._kept() or await self._open()
        heard = await talk.ask(data, since)
        if b"connection: close" in heard.head.lower():
            talk.close()
        else:
            self._free.append(talk)
        return heard

    async def warm(self, number: int) -> None:
        """Connects ahead."""
        self._free += await asyncio.gather(*(self._open() for _ in range(number)))

    def close(self) -> None:
        """Hang up."""
        for each in self._free:
            each.close()

    def _kept(self) -> Talk | None:
        while self._free:
            if (talk := self._free.pop()).is_open:  # the server may have closed one that was not used for long
                return talk
        return None

    async def _open(self) -> Talk:
        return (await asyncio.get_running_loop().create_connection(Talk, self._host, self._port))[1]


def chat(path: str, headers: Mapping[str, str], model: str, stream: bool = False) -> bytes:
    """The bytes of one question."""
    body: dict[str, object] = {"model": model, "messages": [{"role": "user", "content": "How much wood would a woodchuck chuck?"}]}
    return request("POST", path, json.dumps({**body, "stream": True} if stream else body).encode(), dict(headers))


async def steadily(pool: Pool, make: Callable[[], bytes], rate: float, seconds: float) -> list[Heard]:
    """Asks at a fixed rate, however long answers take."""
    tasks: list[asyncio.Task[Heard]] = []
    began = time.perf_counter() + 0.01
    for number in range(round(rate * seconds)):
        if (left := began + number / rate - time.perf_counter()) > 0:
            await asyncio.sleep(left)
        tasks.append(asyncio.create_task(pool.ask(make())))
    return list(await asyncio.gather(*tasks))


def quantile(values: list[float], part: float) -> float:
    """The value below which ``part`` of them are."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * part))]


def _length(head: bytes) -> int | None:
    lower = head.lower()
    at = lower.find(b"\r\ncontent-length:")
    return None if at < 0 else int(lower[at + 17 :].split(b"\r\n", 1)[0])


def _joined(raw: bytes) -> bytes:
    parts, at = [], 0
    while (line := raw.find(b"\r\n", at)) >= 0:
        size = int(raw[at:line].split(b";")[0], 16)
        parts.append(raw[line + 2 : line + 2 + size])
        at = line + 2 + size + 2
        if not size:
            break
    return b"".join(parts)
