"""What the writer says about a heal: right or wrong. A "wrong" counts against the rules that did it."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from healing.models import Receipt
from healing.receipt_copies import rules_of, store
from healing.receipts_view import landed
from healing.rules import count_reversal


@transaction.atomic
def give_feedback(receipt: Receipt, right: bool, comment: str) -> dict[str, Any]:
    """Keeps the word, the newest counts; the first "wrong" is a reversal of its rules. Returns what was kept."""
    store([receipt])  # it may not have been moved here yet
    kept = Receipt.objects.select_for_update().get(pk=receipt.pk)
    said_wrong_before = kept.feedback is not None and kept.feedback.get("ever_wrong", False)
    kept.feedback = {
        "right": right, "comment": comment, "at": timezone.now().isoformat(), "ever_wrong": said_wrong_before or not right,
    }  # fmt: skip
    kept.save(update_fields=["feedback"])
    if not right and not said_wrong_before:
        count_reversal(sorted(rules_of(landed(receipt))))
    return kept.feedback
