"""JSON values as texts and as equals: how a value is shown to a person, and when two values are the same."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from healing.core.types import Json

SHOWN = 80
"""characters of a value that a person gets to see."""

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
    """Equal as JSON values: numbers by value, ``true`` is not 1, objects without regard to the order of keys."""
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(same(v, b[k]) for k, v in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(same, a, b))
    return _kind(a) == _kind(b) and bool(a == b)


def _kind(value: Json) -> type[Any]:
    if isinstance(value, bool):
        return bool
    return Decimal if isinstance(value, (int, Decimal, float)) else type(value)
