"""Kept writes that a gateway process claimed, to land them in the request that waited, and never settled: was it written or not?

The record that the write's own transaction leaves in the target says so. Where there is one the write landed, once; where there is none
nothing was written, and it waits on as before. Nothing is written here: the caller did not ask for a later landing.
"""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import transaction
from django.utils import timezone

from healing.gateway.replay import REPLAYER
from healing.models import QuarantineItem, Receipt
from healing.target import target_connection
from schema_monitor import server_clock

State = QuarantineItem.State
_RECORD = "SELECT headers FROM mendgate.idempotency WHERE caller = %s AND key = %s"


def settle_abandoned() -> int:
    """Settles those whose lease has ended; returns how many had been written."""
    left = QuarantineItem.objects.filter(
        assist__isnull=False, automatic=False, state__in=[State.WAITING, State.REPLAYING], lease_until__lt=server_clock.now()
    )
    back = QuarantineItem.objects.filter(assist__isnull=False, automatic=False, state__in=[State.WAITING, State.PARKED], lease_until=None)
    items = list((left | back)[:200])
    if not items:
        return 0
    with target_connection() as target:
        return sum(_settle(item, target) for item in items)


@transaction.atomic
def _settle(item: QuarantineItem, target: psycopg.Connection[Any]) -> bool:
    same = QuarantineItem.objects.select_for_update(of=("self",)).filter(pk=item.pk, state=item.state, lease_until=item.lease_until)
    if not same.exists():
        return False
    record = target.execute(_RECORD, _claimed_by(item)).fetchone()
    if record is None:
        same.update(state=State.WAITING, lease_until=None, assist=None)
        return False
    receipt = dict(record[0]).get("Mendgate-Receipt")
    same.update(state=State.REPLAYED, lease_until=None, replayed_at=timezone.now(), replay_receipt=receipt, last_error=None)
    Receipt.objects.filter(pk=item.receipt).update(outcome=Receipt.Outcome.REPLAYED)
    return True


def _claimed_by(item: QuarantineItem) -> tuple[str, str]:
    """Caller and key of the write's record, as the replay names them."""
    if not item.idempotency_key:
        return REPLAYER, str(item.pk)
    return f"{item.key_id or ''}:{item.role}:{item.subject}", item.idempotency_key
