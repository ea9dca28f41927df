"""A reader of server-sent events over a plain socket: what came, byte for byte, and how the connection ended."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec

from tests.gateway_process import Gateway
from tests.waiting import HANGS

PATH = "/api/v1/schema/events"


class Reader:
    """One stream. ``seen`` holds (id, event name, data) of each event."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self.status = 0
        self.headers: dict[str, str] = {}
        self.seen: list[tuple[int, str, Any]] = []
        self.beats = 0
        self.ended = False

    @classmethod
    async def open(cls, gateway: Gateway, last: int | str | None = None, *, method: str = "GET", query: str = "", **headers: str) -> Reader:
        """Connect, send the request, read the head of the answer."""
        stream = cls(*await asyncio.open_connection("127.0.0.1", gateway.port))
        sent = {"host": "x", **headers}
        if last is not None:
            sent["last-event-id"] = str(last)
        lines = [f"{method} {PATH}{query} HTTP/1.1", *(f"{name}: {value}" for name, value in sent.items())]
        stream.writer.write("\r\n".join([*lines, "", ""]).encode())
        head = (await stream.reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        stream.status = int(head[0].split()[1])
        stream.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:] if line)}
        return stream

    async def until(self, epoch: int) -> list[tuple[int, str, Any]]:
        """Read until that id came."""
        async with asyncio.timeout(HANGS):
            while not self.seen or self.seen[-1][0] < epoch:
                await self._event()
        return self.seen

    async def to_the_end(self) -> None:
        """Read until the server ends the response."""
        async with asyncio.timeout(HANGS):
            while not self.ended:
                await self._event()

    def ids(self) -> list[int]:
        """Ids of the versions that came."""
        return [number for number, name, _ in self.seen if name == "schema"]

    async def _event(self) -> None:
        text = ""
        while not text.endswith("\n\n"):
            size = int((await self.reader.readuntil(b"\r\n")).strip() or b"0", 16)
            text += (await self.reader.readexactly(size + 2))[:-2].decode()
            if size == 0:
                self.ended = True
                self.close()
                return
        for block in text.strip("\n").split("\n\n"):
            fields = dict(line.split(": ", 1) for line in block.split("\n") if ": " in line)
            if "id" in fields:
                self.seen.append((int(fields["id"]), fields["event"], msgspec.json.decode(fields["data"])))
            else:
                self.beats += 1

    def close(self) -> None:
        """Hang up."""
        self.writer.close()
