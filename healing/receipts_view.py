"""Finds receipts wherever they are, and puts together what a reader may see of one.

A receipt is in the control database once it was copied; before that it is read from the target. A write that was kept and
replayed later has two receipts: the first (which the caller holds) then tells what the second did.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from healing.api_caller import Caller, sees_all, sees_values
from healing.models import QuarantineItem, Receipt
from healing.receipt_bundles import COLUMNS, bundle_of, unfold
from healing.receipt_copies import rules_of
from healing.receipt_patch import patch_of
from healing.refusals import NotFound
from healing.sealed_rows import receipt_facts, redacted
from healing.target import target_connection

_SELECT = f"SELECT {COLUMNS} FROM mendgate.receipts WHERE id = %s"  # noqa: S608


def find_receipt(receipt_id: UUID) -> Receipt:
    """From the control database, else from the target (else it was moved just now). ``NotFound`` where neither has it."""
    receipt = _here(receipt_id) or _from_target(receipt_id) or _here(receipt_id)
    if receipt is None:
        raise NotFound("There is no such receipt, or it is not yours.")
    return receipt


def find_own(receipt_id: UUID, caller: Caller) -> Receipt:
    """A receipt that the caller may read; ``NotFound`` also for somebody else's."""
    receipt = find_receipt(receipt_id)
    owner = (str(receipt.key or ""), receipt.role, receipt.subject)
    if not sees_all(caller) and (owner != (caller.key or "", caller.role, caller.subject) or owner[0] == owner[2] == ""):
        raise NotFound("There is no such receipt, or it is not yours.")
    return receipt


def landed(receipt: Receipt) -> Receipt:
    """The receipt of what was stored: itself, or for a kept write the one of its replay."""
    item = QuarantineItem.objects.filter(receipt=receipt.pk, replay_receipt__isnull=False).only("replay_receipt").first()
    if item is None or item.replay_receipt == receipt.pk:
        return receipt
    try:
        return find_receipt(item.replay_receipt)  # type: ignore[arg-type]
    except NotFound:
        return receipt


def shown(receipt: Receipt, caller: Caller) -> dict[str, Any]:
    """What the API answers for a receipt."""
    final = landed(receipt)
    sent, stored = receipt_facts(receipt)["sent"], receipt_facts(final)
    values = sees_values(caller)
    return {
        "id": receipt.pk, "at": receipt.at, "outcome": final.outcome if final.outcome != "quarantined" else receipt.outcome,
        "schema_": receipt.schema, "table": receipt.table, "operation": receipt.operation,
        "sent": _seen(sent if sent is not None else stored["sent"], values), "stored": _seen(stored["stored"], values),
        "changes": (stored["changes"] or final.changes) if values else final.changes, "fixes": final.fixes,
        "rule": min(rules_of(final), default=None), "quarantine": receipt.quarantine, "feedback": receipt.feedback,
        "source_patch": patch_of(receipt, final),
    }  # fmt: skip


def _seen(rows: Any, values: bool) -> Any:
    return rows if values or rows is None else redacted(rows)


def _here(receipt_id: UUID) -> Receipt | None:
    return Receipt.objects.filter(pk=receipt_id).first()


def _from_target(receipt_id: UUID) -> Receipt | None:
    with target_connection() as target:
        if target.execute("SELECT to_regclass('mendgate.receipts')").fetchone() == (None,):
            return None
        bundle = target.execute(_SELECT, [bundle_of(receipt_id)]).fetchone()
    found = unfold(bundle) if bundle else []
    return next((receipt for receipt in found if receipt.pk == receipt_id), None)
