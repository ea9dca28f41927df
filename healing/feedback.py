"""What the writer says about a heal: right or wrong. A "wrong" counts against the rules that did it."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.utils import timezone

from healing.models import Receipt
from healing.receipt_copies import count_reversal_once, store
from healing.receipts_view import landed


@transaction.atomic
def give_feedback(receipt: Receipt, right: bool, comment: str, sender: str = "") -> dict[str, Any]:
    """Keeps the word, the newest counts; the first "wrong" about what was stored reverses its rules. ``sender``: the caller whose word it
    is alone; '' where a person says so, or a caller who speaks for all. Returns what was kept."""
    final = landed(receipt)
    store(list({each.pk: each for each in (receipt, final)}.values()))  # they may not have been moved here yet
    wrong = not right and final.outcome != "quarantined"
    if wrong:
        count_reversal_once(final, "feedback", sender)
    kept = Receipt.objects.select_for_update().get(pk=receipt.pk)
    said_wrong_before = kept.feedback is not None and kept.feedback.get("ever_wrong", False)
    kept.feedback = {
        "right": right, "comment": comment, "at": timezone.now().isoformat(), "ever_wrong": said_wrong_before or wrong,
    }  # fmt: skip
    kept.save(update_fields=["feedback"])
    return kept.feedback
