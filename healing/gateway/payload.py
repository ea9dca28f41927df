"""The body of a write: bytes to rows, with every digit kept, or a clear refusal.

Refused: invalid JSON or UTF-8, duplicate keys (the last would win in silence), too deep, too many rows, and payloads that are
neither an object nor an array of objects. The bytes themselves travel on to Postgres wherever nothing had to be healed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec
from msgspec import Struct

from healing.core.types import Json, Row
from healing.gateway.errors import DialectError

decode = msgspec.json.Decoder(float_hook=Decimal).decode
_KEY = re.compile(rb'"\s*:')
_SCALARS = frozenset({str, int, Decimal, float, bool, type(None)})


class Payload(Struct, frozen=True):
    """Rows as sent. ``inner`` is their text without the brackets of an array; ``single``: one object was sent, no array."""

    rows: tuple[Row, ...]
    inner: bytes
    single: bool


EMPTY = Payload((), b"", False)
"""No body at all."""
NOTHING = Payload(({},), b"{}", True)
"""One row without keys: an update that changes nothing."""


def parse_payload(body: bytes, headers: Mapping[str, str], *, depth: int, most_rows: int) -> Payload:
    """Reads a JSON body. Raises ``DialectError``."""
    _check_media(headers.get("content-type", ""))
    text = body.strip()
    if not text:
        return EMPTY
    value = _decoded(text, depth)
    if isinstance(value, dict):
        return Payload((value,), text, True)
    if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
        raise _invalid("All object keys must match" if isinstance(value, list) else "Expected an object or an array of objects")
    if len(value) > most_rows:
        hint = f"Send at most {most_rows} rows at once."
        raise DialectError("MG413", 413, f"The payload has {len(value)} rows", None, hint)
    return Payload(tuple(value), text[1:-1], False)


def _check_media(content_type: str) -> None:
    media = content_type.partition(";")[0].strip().lower()
    if media and media != "application/json" and not media.endswith("+json") and media != "text/plain":
        raise DialectError("PGRST102", 415, f"Content-Type not acceptable: {media}", None, "Send application/json.")


def _decoded(text: bytes, depth: int) -> Json:
    try:
        value = decode(text)
    except RecursionError:
        raise _too_deep(depth) from None
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidOperation) as error:
        raise _invalid("Empty or invalid json", str(error)) from None
    keys = _count_keys(value, depth)
    if text.count(b":") != keys and _colons_of_keys(text) != keys:
        _refuse_duplicates(text)
    return value


def _invalid(message: str, details: str | None = None) -> DialectError:
    return DialectError("PGRST102", 400, message, details, None)


def _too_deep(depth: int) -> DialectError:
    return DialectError("PGRST102", 400, f"The JSON is nested deeper than {depth} levels", None, None)


def _colons_of_keys(text: bytes) -> int:
    """How many keys the text may have: each ``":`` of it, with white space between the two or not."""
    spaced = b" :" in text or b"\n:" in text or b"\t:" in text or b"\r:" in text
    return len(_KEY.findall(text)) if spaced else text.count(b'":')


def _count_keys(value: Json, depth: int) -> int:
    """Keys of all objects in it. Equal to the number of ``:``, or of ``":``, in the text unless keys repeat (or a string holds one). Level
    by level, so that a level of nothing but scalars costs one look. Raises ``DialectError`` where it is nested deeper than ``depth``."""
    if type(value) is dict and _SCALARS.issuperset(map(type, value.values())):
        return len(value)
    keys, levels, level = 0, 0, _containers((value,))
    while level:
        levels += 1
        if levels > depth:
            raise _too_deep(depth)
        keys += sum([len(each) for each in level if type(each) is dict])
        level = [deeper for each in level for deeper in _containers(each.values() if type(each) is dict else each)]
    return keys


def _containers(values: Collection[Json]) -> list[dict[str, Json] | list[Json]]:
    if _SCALARS.issuperset(map(type, values)):
        return []
    return [value for value in values if isinstance(value, dict | list)]


def _refuse_duplicates(text: bytes) -> None:
    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        if len(row) != len(pairs):
            names = [name for name, _ in pairs]
            twice = next(name for name in names if names.count(name) > 1)
            hint = "JSON keeps only the last one in silence; send each key once."
            raise DialectError("PGRST102", 400, f"The key '{twice}' appears more than once in one object", None, hint)
        return row

    json.loads(text, object_pairs_hook=unique)
