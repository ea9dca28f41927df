"""``/api/v1/receipts``: what was sent, what was stored and why; feedback and undo."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.http import HttpRequest
from ninja import Router

from healing.api_caller import alone, caller_of
from healing.api_shapes import Error, FeedbackIn, ReceiptOut
from healing.feedback import give_feedback
from healing.receipts_view import find_own, shown
from healing.undo import undo

router = Router(tags=["Receipts"])
ERRORS = {401: Error, 403: Error, 404: Error, 422: Error, 500: Error, 503: Error}


@router.get("/{receipt_id}", response={200: ReceiptOut, **ERRORS}, summary="One receipt", by_alias=True)
def read_receipt(request: HttpRequest, receipt_id: UUID) -> dict[str, Any]:
    """Of a kept write that was replayed since, it tells what the replay stored."""
    caller = caller_of(request)
    return shown(find_own(receipt_id, caller), caller)


@router.post("/{receipt_id}/feedback", response={200: ReceiptOut, 413: Error, **ERRORS}, summary="Was the heal right?", by_alias=True)
def post_feedback(request: HttpRequest, receipt_id: UUID, said: FeedbackIn) -> dict[str, Any]:
    """The newest word is kept; a "wrong" counts against the rule."""
    caller = caller_of(request)
    receipt = find_own(receipt_id, caller)
    receipt.feedback = give_feedback(receipt, said.right, said.comment, alone(caller))
    return shown(receipt, caller)


@router.post("/{receipt_id}/undo", response={200: ReceiptOut, 409: Error, **ERRORS}, summary="Take the write back", by_alias=True)
def post_undo(request: HttpRequest, receipt_id: UUID) -> dict[str, Any]:
    """Runs as the caller's role. 409 where a newer write touched the rows, or the receipt does not hold enough."""
    caller = caller_of(request)
    undo(find_own(receipt_id, caller), caller, alone(caller))
    return shown(find_own(receipt_id, caller), caller)
