"""JSON values as texts and as equals: how a value is shown to a person, and when two values are the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from healing.core.types import Json

SHOWN = 80
"""characters of a value that a person gets to see."""

_sorted = msgspec.json.Encoder(decimal_format="number", order="sorted")
_encoder = msgspec.json.Encoder(decimal_format="number")


def json_text(value: Json) -> str:
    """The JSON text that is sent to Postgres for the value, which is also what an object becomes in a text column."""
    return _encoder.encode(value).decode()


def as_text(value: Json) -> str:
    """What Postgres gets as the text of a JSON value: strings bare, everything else as JSON."""
    return value if isinstance(value, str) else json_text(value)


def shown(value: Json) -> str:
    """A short text of the value for headers, receipts and sentences."""
    text = as_text(value)
    return text if len(text) <= SHOWN else text[: SHOWN - 1] + "…"


def same(a: Json, b: Json) -> bool:
    """Equal as JSON values: numbers by value, ``true`` is not 1, objects without regard to the order of keys.

    What is nested too deeply to walk is compared as text, so it may be called different where only numbers are spelled differently.
    """
    try:
        return _same(a, b)
    except RecursionError:
        return _sorted.encode(a) == _sorted.encode(b)


def _same(a: Json, b: Json) -> bool:
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_same(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_same, a, b))
    return _kind(a) == _kind(b) and bool(a == b)


def _kind(value: Json) -> type[Any]:
    if isinstance(value, bool):
        return bool
    return Decimal if isinstance(value, (int, Decimal, float)) else type(value)
