"""Carries orders to take back out, in a worker: newest writes first, those of one transaction together, else one by one.

A worker that dies leaves the target's own mark: what was taken back is not taken back again, and is told so by the next one.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from itertools import groupby
from typing import Any

import psycopg
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from healing.case_acts import writer_of
from healing.doorbell import TAKE_BACK, ring
from healing.gateway.auth import Caller, make_caller
from healing.gateway.prelude import Prelude
from healing.gateway.seal import SealError
from healing.models import Receipt, TakeBack, TakeBackItem
from healing.receipt_copies import copy_all
from healing.refusals import NotAllowed, Refused
from healing.sealed_rows import receipt_facts
from healing.take_back.orders import gather
from healing.undo import undo_together
from schema_monitor import server_clock

log = logging.getLogger(__name__)

State, Item = TakeBack.State, TakeBackItem.State
BATCH = 50
BUDGET_SECONDS = 60.0
SERVICE = "service_role"
_AGAIN = timedelta(seconds=30)


def work(budget: float = BUDGET_SECONDS) -> int:
    """Works on running orders until nothing is due or the time is over; returns how many writes are through."""
    done, ends = 0, time.monotonic() + budget
    for order in TakeBack.objects.filter(state=State.RUNNING).select_related("rule"):
        while count := _batch(order):
            done += count
            if time.monotonic() > ends:
                ring(TAKE_BACK)
                return done
        _finish(order)
    return done


def ring_due() -> None:
    """Rings where an order runs."""
    if TakeBack.objects.filter(state=State.RUNNING).exists():
        ring(TAKE_BACK)


@transaction.atomic
def _batch(order: TakeBack) -> int:
    """The newest due writes; their rows stay locked until they are told, so two workers never take the same."""
    if not TakeBack.objects.filter(pk=order.pk, state=State.RUNNING).exists():
        return 0
    due = order.items.select_for_update(skip_locked=True).filter(Q(due_at=None) | Q(due_at__lte=server_clock.now()), state=Item.WAITING)
    items = list(due.order_by("-written_at", "-receipt")[:BATCH])
    for _, together in groupby(items, key=lambda item: (item.writer, item.as_service)):
        _take_back(list(together))
    return sum(item.state != Item.WAITING for item in items)


def _take_back(items: Sequence[TakeBackItem]) -> None:
    """Writes of one transaction by callers of the same rights as one, so that rows which are alike need not be told apart."""
    found = {r.pk: r for r in Receipt.objects.filter(pk__in=[item.receipt for item in items])}
    callers: dict[Prelude, tuple[Caller, list[TakeBackItem]]] = {}
    for item in items:
        receipt = found.get(item.receipt)
        if receipt is None:
            _end(item, Item.CONFLICT, "Its receipt is gone.")
        elif receipt.outcome == "undone":
            _end(item, Item.UNDONE)
        elif (caller := _caller(item, receipt)) is not None:
            callers.setdefault(caller.prelude, (caller, []))[1].append(item)
    for caller, same in callers.values():
        if len(same) == 1 or not _together(same, found, caller):
            for item in same:
                _one(item, found[item.receipt], caller)


def _caller(item: TakeBackItem, receipt: Receipt) -> Caller | None:
    if item.as_service:
        return make_caller(None, SERVICE, {"role": SERVICE})
    try:
        return writer_of(receipt)
    except (NotAllowed, SealError) as refusal:
        _end(item, Item.REFUSED, str(refusal))
        return None


def _together(items: Sequence[TakeBackItem], found: dict[Any, Receipt], caller: Caller) -> bool:
    """Whether all of them could be taken back at once."""
    try:
        undo_together([found[item.receipt] for item in items], caller)
    except (Refused, psycopg.Error, SealError):
        return False
    for item in items:
        _end(item, Item.UNDONE, rows=_rows(found[item.receipt]))
    return True


def _one(item: TakeBackItem, receipt: Receipt, caller: Caller) -> None:
    try:
        rows = undo_together([receipt], caller)
    except NotAllowed as refusal:
        _end(item, Item.REFUSED, refusal.message)
    except (Refused, SealError) as refusal:
        _end(item, Item.CONFLICT, str(refusal))
    except psycopg.OperationalError as error:
        item.due_at, item.why = server_clock.now() + _AGAIN, f"The target did not answer: {error}".strip()
        item.save(update_fields=["due_at", "why"])
    else:
        _end(item, Item.UNDONE, rows=rows)


def _rows(receipt: Receipt) -> int:
    return len(receipt_facts(receipt)["stored"] or ())


def _end(item: TakeBackItem, state: str, why: str = "", rows: int = 0) -> None:
    item.state, item.why, item.rows, item.ended_at, item.due_at = state, why, rows, timezone.now(), None
    item.save(update_fields=["state", "why", "rows", "ended_at", "due_at"])


def _finish(order: TakeBack) -> None:
    """Closes an order that has nothing left: after a last look for writes that were under way when it was given."""
    if order.items.filter(state=Item.WAITING).exists():
        return
    try:
        copy_all()
    except psycopg.Error as error:
        log.warning("the target's receipts could not be looked through, the order stays open: %s", error)
        return
    if gather(order) == 0:
        TakeBack.objects.filter(pk=order.pk, state=State.RUNNING).update(state=State.DONE, finished_at=timezone.now())
    else:
        ring(TAKE_BACK)
