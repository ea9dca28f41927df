"""Bundles of receipts as the target holds them (``healing/sql/target.sql``), unfolded into ``Receipt`` rows.

The receipts of one transaction share a row there; the n-th one's id is the bundle's id + n.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec

from healing.gateway.receipts import in_full
from healing.gateway.seal import seal, unseal
from healing.models import Receipt

COLUMNS = "id, sealed, xmin::text"
Bundle = tuple[Any, ...]
"""A row of ``COLUMNS``; xmin is the transaction that wrote the bundle and its rows."""
_NUMBERS = 0xFFFF


class _Bundled(msgspec.Struct):
    """What is sealed (``healing.gateway.receipts``)."""

    heads: list[dict[str, Any]]
    of: list[int]
    values: list[msgspec.Raw]
    transaction: msgspec.Raw = msgspec.Raw(b"")


def bundle_of(receipt: UUID) -> UUID:
    """The id of the bundle that a receipt is in."""
    return UUID(int=receipt.int & ~_NUMBERS)


def unfold(bundle: Bundle) -> list[Receipt]:
    """The receipts of a bundle, unsaved, their values sealed one by one. Raises ``SealError``."""
    return unfold_whole(bundle)[0]


def unfold_whole(bundle: Bundle) -> tuple[list[Receipt], bytes]:
    """The receipts; and the record of their transaction as JSON, b"" where it was a write of its own. Raises ``SealError``."""
    first, sealed, writer = bundle
    said = msgspec.json.decode(unseal(sealed), type=_Bundled)
    at = made_at(first)
    receipts = [
        _receipt(UUID(int=first.int + number), at, said.heads[head], bytes(said.values[number]), writer)
        for number, head in enumerate(said.of)
    ]
    return receipts, bytes(said.transaction)


def made_at(bundle: UUID) -> datetime:
    """When a bundle was made: its id, a UUID of version 7, begins with milliseconds."""
    return datetime.fromtimestamp((bundle.int >> 80) / 1000, UTC)


def _receipt(receipt_id: UUID, at: datetime, head: dict[str, Any], values: bytes, writer: str) -> Receipt:
    values = in_full(values)
    known = ("outcome", "schema", "table", "operation", "role")
    if head.get("claims"):
        values = b'{"claims":' + msgspec.json.encode(head["claims"]) + b"," + values.lstrip()[1:]
    return Receipt(
        id=receipt_id, at=at, sealed=seal(values), key=head.get("key") or None, subject=head.get("subject") or "",
        fixes=head.get("fixes") or [], changes=head.get("changes") or [], quarantine=head.get("quarantine") or None, writer=writer,
        **{name: head.get(name) or "" for name in known},
    )  # fmt: skip
