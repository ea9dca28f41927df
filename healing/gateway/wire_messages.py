"""Messages of Postgres's protocol (version 3.0, "Message Formats" in its manual), as far as lanes need them: bytes in, bytes out.

>>> said("COMMIT")
b'Q\\x00\\x00\\x00\\x0bCOMMIT\\x00'
>>> columns(b"\\0\\0\\0\\1x\\xff\\xff\\xff\\xff", 0, 9)
[b'x', None]
"""

from __future__ import annotations

from collections.abc import Sequence
from struct import Struct as Layout

from msgspec import Struct

Record = list[bytes | None]
"""A row's columns as text."""

HEAD = Layout(">BI").unpack_from
"""A message's kind and its length (which counts itself)."""
_LENGTH = Layout(">i").unpack_from
ROW, DONE, READY, ERROR, PARSED = b"DCZE1"
UNASKED = frozenset(b"SA")
"""Settings of the session, notifications: for whoever owns the connection."""
NOTHING_TO_US = frozenset(b"23INTnst")
"""Bind and close complete, empty query, notices, descriptions."""
MOST_VALUES = 65_535
_TEXT, _LAST_IS_BINARY = b"\0\0", b"\0\2\0\0\0\1"
"""Formats of the parameters: of all, or of two."""
_NULL = b"\xff\xff\xff\xff"


class Step(Struct, frozen=True):
    """A statement and its arguments, as text; where ``binary``, the second of two is as the type's binary format has it."""

    sql: str
    arguments: Sequence[bytes | None] = ()
    binary: bool = False


def said(text: str) -> bytes:
    """Statements without parameters."""
    return _framed(b"Q", text.encode() + b"\0")


def parsed(name: bytes, sql: str) -> bytes:
    """Prepares a statement."""
    return _framed(b"P", name + b"\0" + sql.encode() + b"\0\0\0")


def run(name: bytes, step: Step) -> bytes:
    """Binds a prepared statement and executes it. Raises ``ValueError`` for more values than it can have."""
    if len(step.arguments) > MOST_VALUES:
        raise ValueError(f"{len(step.arguments)} values, of at most {MOST_VALUES}")
    values = [_NULL if value is None else len(value).to_bytes(4) + value for value in step.arguments]
    formats = _LAST_IS_BINARY if step.binary else _TEXT
    return _framed(b"B", b"\0%b\0%b%b%b\0\0" % (name, formats, len(values).to_bytes(2), b"".join(values))) + _EXECUTE


def closed(name: bytes) -> bytes:
    """Forgets a prepared statement."""
    return _framed(b"C", b"S" + name + b"\0")


def whole(data: bytes) -> int:
    """Where the last message ends that is there in full."""
    at = 0
    while len(data) - at >= 5 and (stop := at + 1 + HEAD(data, at)[1]) <= len(data):
        at = stop
    return at


def columns(data: bytes, at: int, stop: int) -> Record:
    """The columns of a row's message, which lie in ``data`` from ``at`` to ``stop``."""
    row: Record = []
    while at < stop:
        (length,) = _LENGTH(data, at)
        at += 4
        if length < 0:
            row.append(None)
        else:
            row.append(data[at : at + length])
            at += length
    return row


def fields(body: bytes) -> dict[str, str]:
    """What an error says, by the protocol's one-letter names."""
    return {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}


def _framed(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body


_EXECUTE = _framed(b"E", b"\0\0\0\0\0")
SYNC, FLUSH = _framed(b"S", b""), _framed(b"H", b"")
COMMIT = said("COMMIT")
