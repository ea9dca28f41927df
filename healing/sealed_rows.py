"""Opens what was sealed, and hides what a reader may not see. Numbers keep their digits (``Decimal``)."""

from __future__ import annotations

import base64
from decimal import Decimal
from typing import Any

import msgspec

from healing.core.types import Json, Row
from healing.gateway.seal import SealError, unseal
from healing.models import QuarantineItem, Receipt

_decoder = msgspec.json.Decoder(float_hook=Decimal)


def open_json(blob: bytes | memoryview | None) -> Json:
    """The JSON in a sealed blob; None for none."""
    return None if blob is None else _decoder.decode(unseal(blob))


def rows_of(item: QuarantineItem) -> list[Json]:
    """The rows of a kept write, as they were sent; [] where there was no body, the raw text where it was no JSON."""
    body = base64.b64decode(open_json(item.request).get("body") or "")
    if not body:
        return []
    try:
        sent = _decoder.decode(body)
    except msgspec.DecodeError:
        return [body.decode(errors="replace")]
    return sent if isinstance(sent, list) else [sent]


def sound_rows(item: QuarantineItem) -> list[Row]:
    """The rows that are objects; none where the write cannot be opened (its secret is lost)."""
    try:
        return [row for row in rows_of(item) if isinstance(row, dict)]
    except SealError:
        return []


def claims_of(item: QuarantineItem) -> Row:
    """The claims as they were verified when the write came."""
    return open_json(item.claims) or {}


def receipt_facts(receipt: Receipt) -> dict[str, Json]:
    """``sent``, ``stored`` and ``changes`` of a receipt, each None where it holds none."""
    facts = open_json(receipt.sealed) or {}
    return {name: facts.get(name) for name in ("sent", "stored", "changes", "before", "claims", "writer", "writers")}


def redacted(value: Json) -> Json:
    """The same shape with types instead of values; keys stay, they are what the schema is about."""
    if isinstance(value, dict):
        return {key: redacted(part) for key, part in value.items()}
    if isinstance(value, list):
        return [redacted(part) for part in value[:20]]
    return type_name(value)


def type_name(value: Json) -> str | None:
    """``string``, ``number``, ``boolean``; null stays null."""
    if value is None:
        return None
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | Decimal | float) else "string"


def redacted_error(error: Any) -> dict[str, Any]:
    """An error without what may quote a value: details, and what a message quotes after its colon."""
    text = error.get("message") or ""
    head, colon, _ = text.partition(': "')
    return {**error, "message": f'{head}: "…"' if colon else text, "details": None}
