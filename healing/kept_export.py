"""Kept writes to take along: one JSON object a write, in order of arrival, with their payloads. Who took them is in the audit."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec
from django.db import transaction

from healing import audit, permits
from healing.gateway.seal import SealError
from healing.models import QuarantineItem
from healing.sealed_rows import rows_of

_encoder = msgspec.json.Encoder(decimal_format="number")


@transaction.atomic
def export(schema: str, table: str, signature: str, user: Any) -> Iterator[bytes]:
    """What waits for a cause. The right is asked for, and the audit written, before the first line."""
    permits.require(user, permits.REPLAY)
    place = {"schema": schema, "table": table, "signature": signature}
    items = QuarantineItem.objects.filter(**place).exclude(state__in=["replayed", "discarded"]).select_related("key").order_by("number")
    audit.record(user.username, "export", "quarantine", f"{schema}.{table}"[:64], why=f"{items.count()} writes, {signature}")
    return (_line(item) for item in items.iterator(chunk_size=500))


def _line(item: QuarantineItem) -> bytes:
    facts = {
        "id": str(item.pk), "kept": item.created_at.isoformat(), "state": item.state, "schema": item.schema, "table": item.table,
        "operation": item.operation, "signature": item.signature, "error": item.error, "caller": item.key.name if item.key else None,
        "role": item.role, "subject": item.subject, "receipt": str(item.receipt), "payload": _payload(item),
    }  # fmt: skip
    return _encoder.encode(facts) + b"\n"


def _payload(item: QuarantineItem) -> list[Any] | None:
    """None where it was sealed with a secret that is not configured any more."""
    try:
        return rows_of(item)
    except SealError:
        return None
