"""Reading the body of a request, so that no number of callers fills the memory with them.

A body over its limit is refused before it is read. What large ones hold is counted over the whole process, as their bytes come and until
their request is answered (decoded, a body takes several times its bytes): where there is no room the answer is 503, try again. Small ones
are not counted, so whoever sends large ones slowly keeps no other writes out.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, MutableMapping
from typing import Any

from healing.gateway.errors import DialectError

SMALL = 64 * 1024
"""Bytes; there are at most ``most_in_flight`` requests, so of these there is no end of memory."""


class Room:
    """What one process holds of large bodies: at most ``most`` bytes."""

    def __init__(self, most: int) -> None:
        self.most, self.held = most, 0

    def take(self, count: int) -> None:
        """So many bytes more. Raises ``DialectError`` 503 where there is no room."""
        if self.held + count > self.most:
            raise DialectError("MG503", 503, "The gateway is busy", "Too many large bodies at a time", "Send fewer rows at once.", _RETRY)
        self.held += count

    def leave(self, size: int) -> None:
        """The request of a body of that size is answered."""
        if size > SMALL:
            self.held -= size


async def read_body(
    headers: Mapping[str, str], receive: Callable[[], Awaitable[MutableMapping[str, Any]]], limit: int, room: Room
) -> bytes:
    """The whole body; who gets it calls ``room.leave`` at the end. Raises ``DialectError``."""
    length = headers.get("content-length", "")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    parts, size, taken = [], 0, 0
    try:
        while True:
            message = await receive()
            if message["type"] == "http.disconnect":
                raise DialectError("MG400", 400, "The caller hung up before the whole body came")
            part = message.get("body", b"")
            size += len(part)
            if size > limit:
                raise _too_large(limit)
            if size > SMALL:
                room.take(size - taken)
                taken = size
            parts.append(part)
            if not message.get("more_body"):
                return b"".join(parts) if len(parts) > 1 else part
    except BaseException:
        room.leave(taken)
        raise


def _too_large(limit: int) -> DialectError:
    return DialectError("MG413", 413, "The body is too large", None, f"At most {limit} bytes; send fewer rows at once.")


_RETRY = (("Retry-After", "1"),)
