"""The append-only record of decisions. Each row is numbered without gaps, and its hash covers its content and the hash of the row
before, so that a removed, altered or moved row shows (``audit_check``). The database refuses anything but adding at the end."""

from __future__ import annotations

import hashlib
import json

from django.db import connection, transaction
from django.utils import timezone

from healing.models import Decision

_LOCK = 0x6D67_6175  # one writer at a time, or two rows would follow the same one


@transaction.atomic
def record(who: str, action: str, kind: str, subject: object, *, content_hash: str = "", why: str = "") -> Decision:
    """Appends a decision in the caller's transaction; it stands if and only if the decision does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    last = Decision.objects.order_by("-number").only("number", "hash").first()
    row = Decision(
        number=last.number + 1 if last else 1, at=timezone.now(), who=who, action=action, kind=kind, subject=str(subject),
        content_hash=content_hash, why=why, prev_hash=last.hash if last else "",
    )  # fmt: skip
    row.hash = digest(row)
    row.save(force_insert=True)
    return row


def digest(row: Decision) -> str:
    """SHA-256 over everything in the row, and the hash before it. The number is not in it: the chain itself is the order."""
    facts = [row.prev_hash, row.at.isoformat(), row.who, row.action, row.kind, row.subject, row.content_hash, row.why]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()
