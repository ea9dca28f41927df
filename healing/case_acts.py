"""What people may do with a case: take the write back with the rights of who wrote it, and call the heal right or wrong."""

from __future__ import annotations

from typing import Any

from django.db import transaction

from healing import audit
from healing.feedback import give_feedback
from healing.gateway.auth import Caller, make_caller
from healing.models import QuarantineItem, Receipt
from healing.permits import DECIDE, REPLAY, require, require_reason
from healing.receipts_view import landed
from healing.refusals import NotAllowed, WrongState
from healing.sealed_rows import claims_of, receipt_facts
from healing.undo import UNDOABLE, takes_back, undo


@transaction.atomic
def undo_by(user: Any, receipt: Receipt, why: str) -> None:
    """Takes the write back with the rights of who wrote it, on record with a person's name and reason."""
    require(user, REPLAY)
    reason = require_reason(why)
    final = landed(receipt)
    undo(receipt, writer_of(final, item_of(receipt)))
    audit.record(user.get_username(), "undo", "receipt", receipt.pk, why=reason)


@transaction.atomic
def judge(user: Any, receipt: Receipt, right: bool, comment: str) -> None:
    """A person's word on a heal, as the caller's would be, on record with a name."""
    require(user, DECIDE)
    give_feedback(receipt, right, comment)
    audit.record(user.get_username(), "right" if right else "wrong", "receipt", receipt.pk, why=comment)


def item_of(receipt: Receipt) -> QuarantineItem | None:
    """The kept write that a receipt is about."""
    items = QuarantineItem.objects.select_related("key", "replay")
    if receipt.quarantine:
        return items.filter(pk=receipt.quarantine).first()
    return items.filter(replay_receipt=receipt.pk).first() if receipt.outcome != "committed" else None


def cannot_undo(final: Receipt, item: QuarantineItem | None) -> str:
    """Why nobody may take it back from the dashboard; '' where one may."""
    if final.outcome == "undone":
        return "This is the taking back itself." if takes_back(final) else "It was taken back."
    if final.outcome not in UNDOABLE:
        return "Nothing was stored, so there is nothing to take back."
    try:
        writer_of(final, item)
    except NotAllowed as refusal:
        return f"{refusal.message} {refusal.hint}"
    return ""


def writer_of(final: Receipt, item: QuarantineItem | None = None) -> Caller:
    """Who wrote it, with exactly those rights: known where the claims were kept, or where there was nothing but a role."""
    if item is not None:
        return make_caller(None, item.role, claims_of(item))
    claims = receipt_facts(final)["claims"]
    if claims:
        return make_caller(None, final.role, claims)
    if final.subject:
        raise NotAllowed(
            "Only the caller can take this back: it was written by the rights of a user's token, which is not kept.",
            f"POST /api/v1/receipts/{final.pk}/undo with that user's token.",
        )
    if not final.role:
        raise WrongState("The receipt does not say by which role this was written.")
    return make_caller(None, final.role, {"role": final.role})
