"""Server-sent events, read from bytes as they come: any split of the same bytes gives the same events.

>>> reader = Reader()
>>> [event.data for event in reader.feed(b"data: a\\n") + reader.feed(b"\\ndata: b\\r\\n\\r\\n")]
[b'a', b'b']
"""

from __future__ import annotations

from msgspec import Struct

MOST = 1 << 20
_BOM = b"\xef\xbb\xbf"


class Event(Struct, frozen=True):
    """One event that has data; ``name`` is what its ``event:`` line says."""

    data: bytes
    name: bytes = b""


class TooLong(Exception):
    """An event is longer than ``most`` bytes."""


class Reader:
    """Keeps at most one event that is not complete yet."""

    def __init__(self, most: int = MOST) -> None:
        self._most = most
        self._rest = bytearray()
        self._looked = 0  # bytes of the rest that hold no end of an event
        self._after_cr = False
        self._first = True

    def feed(self, chunk: bytes) -> list[Event]:
        """The events that ``chunk`` completes. Raises ``TooLong``."""
        self._rest += self._plain(chunk)
        events = []
        start = 0
        end = self._rest.find(b"\n\n", self._looked)
        while end >= 0:
            self._check(end - start)
            event = self._event(bytes(self._rest[start:end]))
            if event is not None:
                events.append(event)
            start = end + 2
            end = self._rest.find(b"\n\n", start)
        if start:
            del self._rest[:start]
        self._check(len(self._rest) - 1)
        self._looked = max(0, len(self._rest) - 1)
        return events

    def end(self) -> list[Event]:
        """What stands at the end of the stream without the empty line that it needs."""
        event = self._event(bytes(self._rest))
        self._rest.clear()
        return [event] if event is not None else []

    def _plain(self, chunk: bytes) -> bytes:
        """With ``\\n`` for every kind of line end."""
        if self._after_cr and chunk:
            self._after_cr = False
            chunk = chunk[1:] if chunk[:1] == b"\n" else chunk
        if b"\r" in chunk:
            self._after_cr = chunk.endswith(b"\r")
            return chunk.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
        return chunk

    def _check(self, size: int) -> None:
        if size > self._most:
            raise TooLong

    def _event(self, block: bytes) -> Event | None:
        if self._first:
            self._first = False
            block = block.removeprefix(_BOM)
        if block.startswith(b"data: ") and b"\n" not in block:
            return Event(block[6:])
        return _parsed(block)


def _parsed(block: bytes) -> Event | None:
    data: list[bytes] = []
    name = b""
    for line in block.split(b"\n"):
        field, _, value = line.partition(b":")
        if field == b"data":
            data.append(value.removeprefix(b" "))
        elif field == b"event":
            name = value.removeprefix(b" ")
    return Event(b"\n".join(data), name) if data else None
