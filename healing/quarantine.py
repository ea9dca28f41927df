"""The quarantine's own motions: claiming items for a replay, writing down what became of them, giving up on them.

::

    waiting ──claim──> replaying ──┬─ replayed
       ^                           ├─ conflict   a newer write touched the row
       ├── unavailable, lease lost ┤
       └── failed, attempts < 3 ───┴─ parked     failed three times
"""

from __future__ import annotations

import hashlib
import itertools
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
MOST_NAMED = 100
"""discarded writes that the audit names one by one."""
_LOCK = 0x6D67_636C  # claims one after another, or two workers could share a table and break its order

_DIED = '{"code": "MG503", "message": "The worker ended during the replay.", "details": null, "hint": null}'
_RECOVER = """
UPDATE healing_quarantineitem
SET state = CASE WHEN attempts + 1 >= %s THEN 'parked' ELSE 'waiting' END, attempts = attempts + 1, lease_until = NULL,
    last_error = %s::jsonb
WHERE state = 'replaying' AND lease_until < now()
"""
_DUE = """
WITH busy AS MATERIALIZED (
    SELECT schema, "table" FROM healing_quarantineitem WHERE state = 'replaying'
    UNION
    SELECT schema, "table" FROM healing_quarantineitem
    WHERE state = 'waiting' AND attempts = 0 AND lease_until IS NOT NULL AND replay_id IS NOT NULL AND lease_until > now()
)
SELECT i.id, i.deaths
FROM healing_replay r CROSS JOIN LATERAL (
    SELECT q.id, q.number, CASE WHEN q.last_error = %(died)s::jsonb THEN q.attempts ELSE 0 END AS deaths
    FROM healing_quarantineitem q
    WHERE q.replay_id = r.id AND q.state = 'waiting' AND (q.lease_until IS NULL OR q.lease_until <= now())
      AND (q.schema, q."table") NOT IN (SELECT schema, "table" FROM busy)
    ORDER BY q.number
    LIMIT %(limit)s
) i
WHERE r.state = 'running' AND (%(order)s::uuid IS NULL OR r.id = %(order)s)
ORDER BY i.number
LIMIT %(limit)s
"""
"""In order of arrival, by the index on what waits in an order: as quick for the last of 100,000 as for the first. A table waits with its
first write: one that another worker has, and one that is spared for a moment because the target was away."""
_NEXT = """
SELECT extract(epoch FROM min(i.lease_until) - now())::float8 FROM healing_quarantineitem i JOIN healing_replay r ON r.id = i.replay_id
WHERE i.state = 'waiting' AND r.state = 'running' AND i.lease_until > now() AND (%(order)s::uuid IS NULL OR r.id = %(order)s)
"""
_TAKE = """
WITH free AS (
    SELECT id FROM healing_quarantineitem
    WHERE id = ANY(%(ids)s) AND state = 'waiting' AND replay_id IS NOT NULL AND (lease_until IS NULL OR lease_until <= now())
    ORDER BY number
    FOR UPDATE SKIP LOCKED
)
UPDATE healing_quarantineitem i SET state = 'replaying', lease_until = now() + make_interval(secs => %(lease)s)
FROM free WHERE i.id = free.id
RETURNING i.id, i.number, i.lease_until
"""
_LANDED = """
WITH landed AS (
    UPDATE healing_quarantineitem i
    SET state = 'replayed', replayed_at = now(), replay_receipt = e.receipt, lease_until = NULL, last_error = NULL
    FROM unnest(%(ids)s::uuid[], %(leases)s::timestamptz[], %(receipts)s::uuid[]) AS e(id, lease, receipt)
    WHERE i.id = e.id AND i.state = 'replaying' AND i.lease_until = e.lease
    RETURNING i.receipt
)
UPDATE healing_receipt SET outcome = 'replayed' WHERE id IN (SELECT receipt FROM landed)
"""
_UNTRIED = """
UPDATE healing_quarantineitem i SET state = 'waiting', lease_until = NULL
FROM unnest(%(ids)s::uuid[], %(leases)s::timestamptz[]) AS e(id, lease)
WHERE i.id = e.id AND i.state = 'replaying' AND i.lease_until = e.lease
"""


class Claim(Struct, frozen=True):
    """An item that is ours until the lease ends. The lease's end is also the token that proves it."""

    id: UUID
    lease_until: datetime


class Settled(Struct, frozen=True):
    """What a replay ended with. ``outcome``: replayed, conflict, unavailable, untried; anything else is a failure."""

    outcome: str
    receipt: str | None = None
    error: Any = None


@transaction.atomic
def claim(limit: int, order: UUID | None = None) -> list[Claim]:
    """Up to ``limit`` due items in order of arrival; never of a table that another worker replays just now."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute(_RECOVER, [MAX_DEATHS, _DIED])
        cursor.execute(_DUE, {"limit": limit, "order": order, "died": _DIED})
        ids = _together(cursor.fetchall())
        if not ids:
            return []
        cursor.execute(_TAKE, {"ids": ids, "lease": LEASE_SECONDS})
        rows = sorted(cursor.fetchall(), key=lambda row: row[1])
    return [Claim(id=row[0], lease_until=row[2]) for row in rows]


def next_due(order: UUID | None = None) -> float | None:
    """Seconds until the pause of an ordered item ends; None where none pauses."""
    with connection.cursor() as cursor:
        cursor.execute(_NEXT, {"order": order})
        (seconds,) = cursor.fetchone()
    return None if seconds is None else float(seconds)


def _together(due: list[tuple[UUID, int]]) -> list[UUID]:
    """Those that one worker takes on at a time. What a worker died of may be among them: then few, in the end one alone, so that it is
    found out before the others are taken for it."""
    if not due:
        return []
    deaths = due[0][1]
    most = len(due) if deaths == 0 else 16 if deaths == 1 else 1
    alike = itertools.takewhile(lambda each: (each[1] == 0) == (deaths == 0), due)
    return [pk for pk, _ in itertools.islice(alike, most)]


@transaction.atomic
def settle_all(ended: list[tuple[Claim, Settled]]) -> None:
    """Writes down the ends of a batch, as ``settle`` does; what was ``untried`` is given back."""
    landed = [(claimed, result) for claimed, result in ended if result.outcome == "replayed"]
    with connection.cursor() as cursor:
        if landed:
            receipts = [UUID(result.receipt) if result.receipt else None for _, result in landed]
            cursor.execute(_LANDED, {**_tokens([claimed for claimed, _ in landed]), "receipts": receipts})
    release([claimed for claimed, result in ended if result.outcome == "untried"])
    for claimed, result in ended:
        if result.outcome not in ("replayed", "untried"):
            _settle(claimed, result)


def _tokens(claims: list[Claim]) -> dict[str, Any]:
    return {"ids": [claimed.id for claimed in claims], "leases": [claimed.lease_until for claimed in claims]}


@transaction.atomic
def settle(claimed: Claim, result: Settled) -> bool:
    """Writes down the end of a replay. False where the lease was lost meanwhile: then the other worker's word counts."""
    return _settle(claimed, result)


def _settle(claimed: Claim, result: Settled) -> bool:
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


def release(claims: list[Claim]) -> None:
    """Gives claimed items back untried."""
    if claims:
        with connection.cursor() as cursor:
            cursor.execute(_UNTRIED, _tokens(claims))


@transaction.atomic
def discard(items: list[Any], user: Any, why: str) -> int:
    """Gives up on items, with a reason; the payload stays. Returns how many it were."""
    permits.require(user, permits.REPLAY)
    why = permits.require_reason(why)
    found = list(QuarantineItem.objects.select_for_update(of=("self",)).filter(pk__in=items).values_list("pk", "state", "receipt"))
    if any(state in (State.REPLAYED, State.REPLAYING) for _, state, _ in found):
        raise WrongState("A write that was replayed, or is being replayed, cannot be discarded.")
    gone = {pk: receipt for pk, state, receipt in found if state != State.DISCARDED}
    QuarantineItem.objects.filter(pk__in=list(gone)).update(state=State.DISCARDED, why=why, replay=None)
    Receipt.objects.filter(pk__in=list(gone.values())).update(outcome=Receipt.Outcome.REJECTED)
    _record_discarded(sorted(gone), user.username, why)
    return len(found)


def _record_discarded(gone: list[UUID], who: str, why: str) -> None:
    """Each in the audit; a great many as one entry, which a digest of their ids ties to exactly these (each row has the reason, too)."""
    if len(gone) <= MOST_NAMED:
        for pk in gone:
            audit.record(who, "discard", "quarantine", pk, why=why)
        return
    digest = hashlib.sha256("\n".join(str(pk) for pk in gone).encode()).hexdigest()
    audit.record(who, "discard", "quarantine", f"{len(gone)} writes, from {gone[0]}", content_hash=digest, why=why)


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
