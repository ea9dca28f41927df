"""Copies receipts from the target to the control database, exactly once each, and counts the rules they name.

1. a batch that is not copied yet is read from the target and its rows are locked there
2. it is inserted here, what is here already is left alone; only what was new is counted
3. it is marked as copied there: if we die before that, the next round does 2 again, which changes nothing
"""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from healing.models import Receipt, Rule
from healing.target import target_connection

BATCH = 500
KEEP_IDEMPOTENCY = "48 hours"
_NEXT = "SELECT id, at, body, sealed FROM mendgate.receipt WHERE NOT copied ORDER BY at LIMIT %s FOR UPDATE SKIP LOCKED"

# The transaction that wrote the receipt wrote its rows too; an undo finds them by it, and this UPDATE would overwrite it.
_MARK = """UPDATE mendgate.receipt SET copied = true, body = jsonb_build_object('xid', xmin::text) || body WHERE id = ANY(%s)"""


def copy_all() -> int:
    """Copies until nothing is left; returns how many were new here."""
    total = 0
    with target_connection() as target:
        while True:
            with target.transaction():
                rows = target.execute(_NEXT, [BATCH]).fetchall()
                total += _store(rows)
                target.execute(_MARK, [[row[0] for row in rows]])
            if len(rows) < BATCH:
                return total


def prune_idempotency() -> int:
    """Removes answers kept for idempotency keys after 48 h (promised: 24 h)."""
    with target_connection() as target:
        return target.execute("DELETE FROM mendgate.idempotency WHERE at < now() - %s::interval", [KEEP_IDEMPOTENCY]).rowcount


def from_target(row: tuple[Any, ...]) -> Receipt:
    """A row of ``mendgate.receipt`` (id, at, body, sealed) as an unsaved ``Receipt``."""
    body = row[2] if isinstance(row[2], dict) else json.loads(row[2])
    known = ("outcome", "schema", "table", "operation", "role")
    return Receipt(
        id=row[0], at=row[1], sealed=row[3], key=body.get("key") or None, subject=body.get("subject") or "",
        fixes=body.get("fixes") or [], changes=body.get("changes") or [], quarantine=body.get("quarantine") or None,
        **{name: body.get(name) or "" for name in known},
    )  # fmt: skip


@transaction.atomic
def _store(rows: list[tuple[Any, ...]]) -> int:
    receipts = [from_target(row) for row in rows]
    here = set(Receipt.objects.filter(pk__in=[r.pk for r in receipts]).values_list("pk", flat=True))
    fresh = [r for r in receipts if r.pk not in here]
    Receipt.objects.bulk_create(fresh, ignore_conflicts=True)
    _count_uses(fresh)
    return len(fresh)


def _count_uses(receipts: list[Receipt]) -> None:
    """One success a receipt for each rule that healed it."""
    uses = Counter(rule for r in receipts if r.outcome in ("committed", "replayed") for rule in rules_of(r))
    for rule, count in uses.items():
        Rule.objects.filter(pk=rule).update(successes=F("successes") + count, last_used_at=timezone.now())


def rules_of(receipt: Receipt) -> set[str]:
    """Ids of the rules that a receipt names."""
    return {fix["rule"] for fix in receipt.fixes if isinstance(fix, dict) and fix.get("rule")}
