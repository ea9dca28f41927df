"""Query strings as pairs of text, strictly decoded: what is no UTF-8 or has a NUL is refused, never repaired."""

from __future__ import annotations

import re
from urllib.parse import unquote_to_bytes

from healing.gateway.errors import bad_query, invalid_path

_BROKEN = re.compile(rb"%(?![0-9A-Fa-f]{2})")
MOST = 2000
"""Parameters in one request."""


def pairs_of(query: bytes) -> list[tuple[str, str | None]]:
    """The parameters in order; a value is None where there is no ``=``."""
    parts = [part for part in query.split(b"&") if part]
    if len(parts) > MOST:
        raise bad_query(f"more than {MOST} parameters")
    return [_pair(part) for part in parts]


def segments_of(path: str) -> tuple[str, ...]:
    """The parts of a path, decoded. The empty tuple is the root."""
    raw = path.encode("utf-8", "surrogateescape")
    parts = raw.strip(b"/").split(b"/") if raw.strip(b"/") else []
    try:
        return tuple(_text(part) for part in parts)
    except ValueError:
        raise invalid_path() from None


def _pair(part: bytes) -> tuple[str, str | None]:
    key, equals, value = part.replace(b"+", b" ").partition(b"=")
    try:
        return _text(key), _text(value) if equals else None
    except ValueError as wrong:
        raise bad_query(str(wrong)) from None


def _text(raw: bytes) -> str:
    if _BROKEN.search(raw):
        raise ValueError("a % that is not followed by two hexadecimal digits")
    try:
        text = unquote_to_bytes(raw).decode("utf-8")
    except UnicodeDecodeError:
        raise ValueError("the bytes are not UTF-8") from None
    if "\x00" in text:
        raise ValueError("a NUL character")
    return text
