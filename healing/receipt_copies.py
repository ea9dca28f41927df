"""Moves receipts from the target to the control database, exactly once each, and counts the rules they name.

1. a batch of bundles is read from the target and locked there
2. its receipts are inserted here, what is here already is left alone; only what was new is counted
3. the bundles are removed there: if we die before that, the next round does 2 again, which changes nothing
4. what an undo took back in the meantime says so here too
"""

from __future__ import annotations

import logging
from collections import Counter
from typing import Any
from uuid import UUID

import psycopg
from django.db import transaction
from django.db.models import F
from django.utils import timezone

from healing.assist.reversal import note_reversal
from healing.certified import evidence
from healing.gateway.seal import SealError
from healing.models import QuarantineItem, Receipt, Rule
from healing.observed import reversed_by
from healing.receipt_bundles import COLUMNS, Bundle, unfold_whole
from healing.rules import count_reversal
from healing.target import target_connection
from healing.transaction_log import store_committed

log = logging.getLogger(__name__)
BATCH = 200
KEEP_IDEMPOTENCY = "48 hours"
KEEP_UNDONE = "1 hour"
"""How long an undo may take to be told here. Its mark in the target stays: it keeps an undo from running twice."""
_NEXT = f"SELECT {COLUMNS} FROM mendgate.receipts WHERE id > %s ORDER BY id LIMIT %s FOR UPDATE SKIP LOCKED"  # noqa: S608
_UNDONE = "SELECT receipt FROM mendgate.undone WHERE at > now() - %s::interval"


def copy_all() -> int:
    """Moves until nothing is left; returns how many receipts were new here. A bundle that cannot be opened stays where it is."""
    total, last = 0, UUID(int=0)
    with target_connection() as target:
        while True:
            with target.transaction():
                bundles = target.execute(_NEXT, [last, BATCH]).fetchall()
                total += _move(target, bundles)
            if len(bundles) < BATCH:
                break
            last = bundles[-1][0]
        undone = [row[0] for row in target.execute(_UNDONE, [KEEP_UNDONE])]
    for receipt in Receipt.objects.filter(pk__in=undone).exclude(outcome="undone"):
        note_undone(receipt)
    return total


def _move(target: psycopg.Connection[Any], bundles: list[Bundle]) -> int:
    receipts, records, moved = [], [], []
    for bundle in bundles:
        try:
            found, record = unfold_whole(bundle)
            receipts += found
            records += [record] * bool(record)
            moved.append(bundle[0])
        except SealError as error:
            log.error("receipts %s stay in the target: %s", bundle[0], error)
    new = store(receipts)
    store_committed(records)
    target.execute("DELETE FROM mendgate.receipts WHERE id = ANY(%s)", [moved])
    return new


def prune_idempotency() -> int:
    """Removes answers kept for idempotency keys after 48 h (promised: 24 h)."""
    with target_connection() as target:
        return target.execute("DELETE FROM mendgate.idempotency WHERE at < now() - %s::interval", [KEEP_IDEMPOTENCY]).rowcount


@transaction.atomic
def store(receipts: list[Receipt]) -> int:
    """Inserts what is not here yet, and counts it; returns how many those were."""
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


@transaction.atomic
def note_undone(final: Receipt, sender: str = "") -> None:
    """The write of this receipt was taken back: its rules are reversed. ``sender``: by whom, where it was the caller alone."""
    count_reversal_once(final, "undo", sender)
    Receipt.objects.filter(pk=final.pk).update(outcome="undone")


def count_reversal_once(final: Receipt, by: str, sender: str = "") -> None:
    """A reversal of the rules that healed this write, unless it was undone or called wrong before (a person's word still stops rules for
    all that only a ``sender`` doubted). Whoever calls this marks it so (``outcome`` or ``feedback.ever_wrong``), in the same transaction;
    the write's receipts stay locked until then."""
    kept = QuarantineItem.objects.filter(replay_receipt=final.pk).values_list("receipt", flat=True)
    receipts = Receipt.objects.select_for_update().filter(pk__in=[final.pk, *kept]).order_by("pk")
    said = any(r.outcome == "undone" or (r.feedback or {}).get("ever_wrong") for r in receipts)
    done = "undone" if by == "undo" else "called wrong by its sender" if sender else "called wrong"
    why = f"a write that it healed was {done} (receipt {final.pk})"
    if not said:
        evidence.note_reversal(final)
        count_reversal(sorted(rules_of(final)), why, sender)
        note_reversal(final)
        reversed_by(final, by)
    elif not sender:
        doubted = Rule.objects.filter(pk__in=rules_of(final), doubts__isnull=False).distinct()
        count_reversal([str(pk) for pk in doubted.values_list("pk", flat=True)], why)


def rules_of(receipt: Receipt) -> set[str]:
    """Ids of the rules that a receipt names."""
    return {fix["rule"] for fix in receipt.fixes if isinstance(fix, dict) and fix.get("rule")}
