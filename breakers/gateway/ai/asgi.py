"""ASGI, as far as it is spoken here."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Pairs = Iterable[tuple[str, str]]

JSON = (b"content-type", b"application/json")
STREAM = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


def raw(headers: Pairs) -> list[tuple[bytes, bytes]]:
    """Headers as they go over the wire."""
    return [(name.lower().encode("latin-1"), value.encode("ascii", "replace")) for name, value in headers]


async def send_json(send: Send, status: int, body: bytes, headers: Pairs = (), *, head: bool = False) -> None:
    """A whole JSON answer."""
    lines = [JSON, (b"content-length", str(len(body)).encode()), *raw(headers)]
    await send({"type": "http.response.start", "status": status, "headers": lines})
    await send({"type": "http.response.body", "body": b"" if head else body})


async def begin_stream(send: Send, headers: Pairs) -> None:
    """The head of an event stream."""
    await send({"type": "http.response.start", "status": 200, "headers": [*STREAM, *raw(headers)]})


async def send_part(send: Send, body: bytes, *, last: bool = False) -> None:
    """A part of a stream."""
    await send({"type": "http.response.body", "body": body, "more_body": not last})
