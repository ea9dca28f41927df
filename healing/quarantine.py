"""The quarantine's own motions: claiming items for a replay, writing down what became of them, giving up on them.

::

    waiting ──claim──> replaying ──┬─ replayed
       ^                           ├─ conflict   a newer write touched the row
       ├── unavailable, lease lost ┤
       └── failed, attempts < 3 ───┴─ parked     failed three times
"""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from msgspec import Struct

from healing import audit, permits
from healing.backoff import AFTER_FAILURE, AFTER_OUTAGE, after_misfit
from healing.models import QuarantineItem, Receipt
from healing.refusals import WrongState
from schema_monitor import server_clock

State = QuarantineItem.State
LEASE_SECONDS = 30
MAX_ATTEMPTS = 3
MAX_DEATHS = 5
"""attempts after which an item whose worker died is no longer tried: it may be what kills it."""
_LOCK = 0x6D67_636C  # claims one after another, or two workers could share a table and break its order

_RECOVER = """
UPDATE healing_quarantineitem
SET state = CASE WHEN attempts + 1 >= %s THEN 'parked' ELSE 'waiting' END, attempts = attempts + 1, lease_until = NULL,
    last_error = '{"code": "MG503", "message": "The worker ended during the replay.", "details": null, "hint": null}'
WHERE state = 'replaying' AND lease_until < now()
"""
_CLAIM = """
WITH due AS (
    SELECT i.id
    FROM healing_quarantineitem i JOIN healing_replay r ON r.id = i.replay_id
    WHERE i.state = 'waiting' AND r.state = 'running' AND (i.lease_until IS NULL OR i.lease_until <= now())
      AND (%(order)s::uuid IS NULL OR r.id = %(order)s)
      AND NOT EXISTS (
          SELECT FROM healing_quarantineitem b WHERE b.state = 'replaying' AND b.schema = i.schema AND b."table" = i."table")
    ORDER BY i.number
    LIMIT %(limit)s
    FOR UPDATE OF i SKIP LOCKED
)
UPDATE healing_quarantineitem i SET state = 'replaying', lease_until = now() + make_interval(secs => %(lease)s)
FROM due WHERE i.id = due.id
RETURNING i.id, i.number, i.lease_until
"""


class Claim(Struct, frozen=True):
    """An item that is ours until the lease ends. The lease's end is also the token that proves it."""

    id: UUID
    lease_until: datetime


class Settled(Struct, frozen=True):
    """What a replay ended with. ``outcome``: replayed, conflict, unavailable; anything else is a failure."""

    outcome: str
    receipt: str | None = None
    error: Any = None


@transaction.atomic
def claim(limit: int, order: UUID | None = None) -> list[Claim]:
    """Up to ``limit`` due items in order of arrival; never of a table that another worker replays just now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute(_RECOVER, [MAX_DEATHS])
        cursor.execute(_CLAIM, {"limit": limit, "order": order, "lease": LEASE_SECONDS})
        rows = sorted(cursor.fetchall(), key=lambda row: row[1])
    return [Claim(id=row[0], lease_until=row[2]) for row in rows]


@transaction.atomic
def settle(claimed: Claim, result: Settled) -> bool:
    """Writes down the end of a replay. False where the lease was lost meanwhile: then the other worker's word counts."""
    item = (
        QuarantineItem.objects.select_for_update(of=("self",)).select_related("replay")
        .filter(pk=claimed.id, state=State.REPLAYING, lease_until=claimed.lease_until).first()
    )  # fmt: skip
    if item is None:
        return False
    item.lease_until = None
    if result.outcome == "replayed":
        _replayed(item, result)
    elif result.outcome == "conflict":
        item.state, item.last_error = State.CONFLICT, result.error
    elif result.outcome == "unavailable":
        item.state, item.lease_until, item.last_error = State.WAITING, server_clock.now() + AFTER_OUTAGE, result.error
    else:
        _failed(item, result)
    item.save(update_fields=["state", "lease_until", "attempts", "last_error", "replayed_at", "replay_receipt", "replay"])
    return True


@transaction.atomic
def release(claims: list[Claim]) -> None:
    """Gives claimed items back untried."""
    for claimed in claims:
        QuarantineItem.objects.filter(pk=claimed.id, state=State.REPLAYING, lease_until=claimed.lease_until).update(
            state=State.WAITING, lease_until=None
        )


@transaction.atomic
def discard(items: list[Any], user: Any, why: str) -> int:
    """Gives up on items, with a reason; the payload stays. Returns how many it were."""
    permits.require(user, permits.REPLAY)
    why = permits.require_reason(why)
    found = list(QuarantineItem.objects.select_for_update(of=("self",)).filter(pk__in=items))
    if any(item.state in (State.REPLAYED, State.REPLAYING) for item in found):
        raise WrongState("A write that was replayed, or is being replayed, cannot be discarded.")
    for item in (i for i in found if i.state != State.DISCARDED):
        item.state, item.why, item.replay = State.DISCARDED, why, None
        item.save(update_fields=["state", "why", "replay"])
        Receipt.objects.filter(pk=item.receipt).update(outcome=Receipt.Outcome.REJECTED)
        audit.record(user.username, "discard", "quarantine", item.pk, why=why)
    return len(found)


def due_automatic() -> Any:
    """Items to try again by themselves: asked for by the caller, in no order, and their pause is over."""
    now = server_clock.now()
    free = Q(replay=None) | Q(replay__state__in=["done", "cancelled"])
    rested = Q(lease_until=None) | Q(lease_until__lte=now)
    return QuarantineItem.objects.filter(rested, free, automatic=True, state=State.WAITING)


def _replayed(item: QuarantineItem, result: Settled) -> None:
    item.state, item.replayed_at, item.last_error = State.REPLAYED, timezone.now(), None
    item.replay_receipt = UUID(result.receipt) if result.receipt else None
    Receipt.objects.filter(pk=item.receipt).update(outcome=Receipt.Outcome.REPLAYED)


def _failed(item: QuarantineItem, result: Settled) -> None:
    """A write nobody asked for and that still does not fit for the same reason is early, not poison: it waits on."""
    item.last_error = result.error or item.error
    item.attempts += 1
    if item.replay is not None and item.replay.automatic and _code(item.last_error) == _code(item.error):
        item.state, item.replay, item.lease_until = State.WAITING, None, server_clock.now() + after_misfit(item.attempts)
    elif item.attempts >= MAX_ATTEMPTS:
        item.state = State.PARKED
    else:
        item.state, item.lease_until = State.WAITING, server_clock.now() + AFTER_FAILURE * item.attempts


def _code(error: Any) -> str:
    return str(error.get("code", "")) if isinstance(error, dict) else ""
