"""The append-only record of decisions. Each row's hash covers its content and the hash of the row before, so that a removed or
altered row shows."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

from django.db import connection, transaction
from django.utils import timezone

from healing.models import Decision

_LOCK = 0x6D67_6175  # one writer at a time, or two rows would follow the same one


@transaction.atomic
def record(who: str, action: str, kind: str, subject: object, *, content_hash: str = "", why: str = "") -> Decision:
    """Appends a decision in the caller's transaction; it stands if and only if the decision does."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
    last = Decision.objects.order_by("-id").first()
    row = Decision(
        at=timezone.now(), who=who, action=action, kind=kind, subject=str(subject), content_hash=content_hash, why=why,
        prev_hash=last.hash if last else "",
    )  # fmt: skip
    row.hash = digest(row)
    row.save(force_insert=True)
    return row


def digest(row: Decision) -> str:
    """SHA-256 over everything in the row, and the hash before it."""
    facts = [row.prev_hash, row.at.isoformat(), row.who, row.action, row.kind, row.subject, row.content_hash, row.why]
    return hashlib.sha256(json.dumps(facts, ensure_ascii=False).encode()).hexdigest()


def faults(rows: Iterable[Decision] | None = None) -> list[str]:
    """What is wrong with the chain, oldest first; empty when it is whole."""
    found, before = [], ""
    for row in rows if rows is not None else Decision.objects.order_by("id").iterator():
        if row.prev_hash != before:
            found.append(f"decision {row.id}: the row before it is missing or was changed")
        if digest(row) != row.hash:
            found.append(f"decision {row.id}: its content was changed")
        before = row.hash
    return found
