"""API keys of Mendgate in bodies that are about to leave: found by their shape and checksum, so nothing else is taken for one.

A net for what is pasted by mistake: a key that is written in escapes, compressed or encoded is not seen.
"""

from __future__ import annotations

import re
import zlib

ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
CHECKSUM = 6
"""letters: enough for every CRC-32."""
_KEY = re.compile(rb"(?=(mg_[0-9A-Za-z]{8}_[0-9A-Za-z]{42}))")
_BEGUN = re.compile(rb"m(?:g(?:_[0-9A-Za-z]{0,8}|_[0-9A-Za-z]{8}_[0-9A-Za-z]{0,41})?)?\Z")
_SHOWN = len("mg_12345678_")
_MOST_BEGUN = _SHOWN + 41


def checksum(body: str) -> str:
    """The last letters of a key whose other letters are ``body``."""
    number, letters = zlib.crc32(body.encode()), ""
    for _ in range(CHECKSUM):
        number, rest = divmod(number, len(ALPHABET))
        letters = ALPHABET[rest] + letters
    return letters


def found(text: bytes) -> list[bytes]:
    """The keys in a text, in order."""
    if b"mg_" not in text:
        return []
    return [key for key in _KEY.findall(text) if checksum(key[:-CHECKSUM].decode()).encode() == key[-CHECKSUM:]]


def without(text: bytes) -> tuple[bytes, tuple[str, ...]]:
    """The text with ``mg_<prefix>_[removed]`` for each key, and these beginnings: they are no secret, and tell which to rotate."""
    keys = dict.fromkeys(found(text))
    for key in keys:
        text = text.replace(key, key[:_SHOWN] + b"[removed]")
    return text, tuple([key[:_SHOWN].decode() for key in keys])


class Sieve:
    """A body that comes in parts. ``pass_on`` gives what may go now: an end that may be the beginning of a key is held back."""

    def __init__(self) -> None:
        self._held = b""

    def pass_on(self, part: bytes) -> tuple[bytes, list[bytes]]:
        """What may be sent, and the keys that were found: then nothing may."""
        text = self._held + part
        if keys := found(text):
            return b"", keys
        begun = _BEGUN.search(text, max(0, len(text) - _MOST_BEGUN))
        end = len(text) if begun is None else begun.start()
        self._held = text[end:]
        return text[:end], []

    def rest(self) -> bytes:
        """What was held back, at the end."""
        return self._held
