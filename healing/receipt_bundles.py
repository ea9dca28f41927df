"""Bundles of receipts as the target holds them (``healing/sql/target.sql``), unfolded into ``Receipt`` rows.

The receipts of one transaction share a row there; the n-th one's id is the bundle's id + n.
"""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

import msgspec

from healing.gateway.seal import seal, unseal
from healing.models import Receipt

COLUMNS = "id, at, heads::text, sealed, xmin::text"
Bundle = tuple[Any, ...]
"""A row of ``COLUMNS``; xmin is the transaction that wrote the bundle and its rows."""
_NUMBERS = 0xFFFF


def bundle_of(receipt: UUID) -> UUID:
    """The id of the bundle that a receipt is in."""
    return UUID(int=receipt.int & ~_NUMBERS)


def unfold(bundle: Bundle) -> list[Receipt]:
    """The receipts of a bundle, unsaved, their values sealed one by one. Raises ``SealError``."""
    first, at, heads, sealed, writer = bundle
    said = json.loads(heads)
    values = msgspec.json.decode(unseal(sealed), type=list[msgspec.Raw])
    return [
        _receipt(UUID(int=first.int + number), at, said["heads"][head], bytes(values[number]), writer)
        for number, head in enumerate(said["of"])
    ]


def _receipt(receipt_id: UUID, at: Any, head: dict[str, Any], values: bytes, writer: str) -> Receipt:
    known = ("outcome", "schema", "table", "operation", "role")
    return Receipt(
        id=receipt_id, at=at, sealed=seal(values), key=head.get("key") or None, subject=head.get("subject") or "",
        fixes=head.get("fixes") or [], changes=head.get("changes") or [], quarantine=head.get("quarantine") or None, writer=writer,
        **{name: head.get(name) or "" for name in known},
    )  # fmt: skip
