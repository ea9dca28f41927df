"""Losses of texts: objects written as JSON text, trailing spaces cut, padding, names cut at 63 bytes."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Final

from healing.core.losses import UNKNOWN, Loss, Lost
from healing.core.types import Json
from healing.core.values import as_text, json_text, shown
from schema_monitor.core.snapshot import Column

_LONGEST_NAME: Final = 63
_OCTAL = re.compile(r"\\[0-3][0-7]{2}")
_EUI48 = re.compile(r"[0-9a-f]{12}", re.ASCII | re.IGNORECASE)


def _json(value: Json) -> Lost | None:
    """An object or list in a text column becomes its JSON text; a number with an exponent, the text of our spelling of it."""
    if isinstance(value, (dict, list)):
        return Lost(shown(value), shown(json_text(value)), "stored as JSON text")
    if isinstance(value, Decimal) and "E" in (text := json_text(value)):
        plain = format(value, "f") if -60 < value.adjusted() < 60 else text
        return Lost(plain, text, "a number is stored as the text with an exponent")
    return None


def _text(column: Column) -> Loss:
    if column.length is None:
        return lambda value: None if type(value) is str else _json(value)
    return partial(_padded if column.base == "bpchar" else _limited, column.length)


def _limited(length: int, value: Json) -> Lost | None:
    """varchar(n): longer by spaces only is cut in silence."""
    text = value if type(value) is str else as_text(value)
    if len(text) > length:
        return None if text[length:].strip(" ") else Lost(shown(text), shown(text[:length]), "trailing spaces are cut off")
    return None if type(value) is str else _json(value)


def _padded(length: int, value: Json) -> Lost | None:
    """char(n): shorter is padded with spaces, longer by spaces only is cut."""
    text = value if type(value) is str else as_text(value)
    if len(text) < length:
        return Lost(shown(text), shown(text.ljust(length)), f"padded with spaces to {length} characters")
    return _limited(length, value)


def _name(column: Column) -> Loss:
    def loss(value: Json) -> Lost | None:
        text = as_text(value)
        data = text.encode("utf-8", "replace")
        if len(data) > _LONGEST_NAME:
            return Lost(shown(text), shown(data[:_LONGEST_NAME].decode("utf-8", "ignore")), "name keeps 63 bytes")
        return _json(value)

    return loss


def _byte(column: Column) -> Loss:
    """``"char"`` keeps one byte."""

    def loss(value: Json) -> Lost | None:
        text = as_text(value)
        data = text.encode("utf-8", "replace")
        if len(data) <= 1 or _OCTAL.fullmatch(text):
            return None
        return Lost(shown(text), text[0] if data[0] < 128 else f"\\{data[0]:03o}", '"char" keeps one byte')

    return loss


def _bytea(column: Column) -> Loss:
    def loss(value: Json) -> Lost | None:
        if isinstance(value, (dict, list)):
            return Lost(shown(value), shown("\\x" + json_text(value).encode().hex()), "stored as the bytes of its JSON text")
        return None

    return loss


def _cidr(column: Column) -> Loss:
    """A network with fewer than four octets is completed by its class."""

    def loss(value: Json) -> Lost | None:
        address = as_text(value).partition("/")[0]
        if ":" in address or address.count(".") == 3:
            return None
        return Lost(shown(value), UNKNOWN, "an abbreviated network is completed by its class")

    return loss


def _macaddr(column: Column) -> Loss:
    def loss(value: Json) -> Lost | None:
        whole = _EUI48.fullmatch(re.sub(r"[:.\-\s]", "", as_text(value)))
        return None if whole else Lost(shown(value), UNKNOWN, "not twelve hexadecimal digits")

    return loss


def _macaddr8(column: Column) -> Loss:
    def loss(value: Json) -> Lost | None:
        bare = re.sub(r"[:.\-\s]", "", as_text(value)).lower()
        if not _EUI48.fullmatch(bare):
            return None
        pairs = [bare[i : i + 2] for i in range(0, 12, 2)]
        return Lost(shown(value), ":".join([*pairs[:3], "ff", "fe", *pairs[3:]]), "six bytes are made eight")

    return loss


def _tsvector(column: Column) -> Loss:
    """A document is kept as its distinct words; repeated ones are dropped."""

    def loss(value: Json) -> Lost | None:
        if isinstance(value, str) and "'" not in value:
            words = value.split()
            distinct = sorted(set(words))
            return None if len(distinct) == len(words) else Lost(shown(value), shown(" ".join(distinct)), "repeated words are dropped")
        return _json(value)

    return loss


BUILDERS: Final[dict[str, Callable[[Column], Loss | None]]] = {
    **dict.fromkeys(("text", "varchar", "bpchar", "citext"), _text),
    "name": _name,
    "char": _byte,
    "bytea": _bytea,
    "cidr": _cidr,
    "macaddr": _macaddr,
    "macaddr8": _macaddr8,
    "tsvector": _tsvector,
}
