"""Decisions about schema proposals. Approving one never touches data; whether Mendgate runs it is asked for apart, and must be allowed."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.conf import settings
from django.db import transaction
from django.utils import timezone

from healing import audit, permits, review_rules
from healing.doorbell import MIGRATE, ring_on_commit
from healing.refusals import AlreadyDecided, NotFound, PolicyForbids
from healing.replay_orders import lock_cause
from healing.schema_fixes.landing import land
from healing.schema_fixes.models import SchemaFix
from healing.schema_fixes.offers import Offer, Place, offers_for
from schema_monitor import server_clock

State = SchemaFix.State


def may_run() -> bool:
    """Whether the operator lets Mendgate run DDL on the target at all."""
    return bool(settings.MENDGATE.ddl_database_url)


def approve(place: Place, offer_id: UUID, user: Any, *, run: bool = False, note: str = "") -> SchemaFix:
    """Says yes to a migration exactly as it was offered. What waits for it is replayed once the schema has it, whoever runs it.

    1. the person may decide; with ``run`` also run DDL, and the operator allowed it
    2. the proposal is made again: where it is another by now, nothing is decided
    3. with ``run``, as many people must say so as a rule needs (``review_rules``)
    4. the decision is written with its audit row; with ``run`` a worker is told
    """
    permits.require(user, permits.DECIDE)
    if run:
        _require_run(user)
    with transaction.atomic():
        lock_cause(*place)
        offer = _offer(place, offer_id)
        if offer.decided is not None and offer.decided.state in (State.APPROVED, State.RUNNING, State.LANDED):
            raise AlreadyDecided(f"This was {offer.decided.state} already.", None)
        row = _written(place, offer, State.APPROVED, user, note)
        row.by_us = run
        _agree(row, user if run else None)
        enough = not run or len(row.agreed_ids) >= review_rules.current().people
        row.state, row.due_at = (State.APPROVED if enough else State.PARTLY), server_clock.now() if run and enough else None
        row.save()
        action = "approve" if enough else "agree"
        audit.record(user.username, action, "migration", row.pk, content_hash=row.content_hash, why=_said(row, run, note))
        if row.due_at is not None:
            ring_on_commit(MIGRATE)
        elif enough:
            land(row)
    return row


@transaction.atomic
def reject(place: Place, offer_id: UUID, user: Any, why: str) -> None:
    """Says no: this SQL is not offered again for this cause."""
    permits.require(user, permits.DECIDE)
    why = permits.require_reason(why)
    offer = _offer(place, offer_id)
    if offer.decided is not None and offer.decided.state in (State.RUNNING, State.LANDED):
        raise AlreadyDecided(f"This is {offer.decided.state}.", None)
    row = _written(place, offer, State.REJECTED, user, why)
    row.save()
    audit.record(user.username, "reject", "migration", row.pk, content_hash=row.content_hash, why=why)


def offer_of(offer_id: UUID, place: Place) -> Offer:
    """The offer as it is now; ``NotFound`` where what waits, or the schema, has changed it since somebody looked."""
    for offer in offers_for([place])[place].schema:
        if offer.id == offer_id:
            return offer
    raise NotFound("This proposal is not what it was: the schema or what waits has changed since.", "Look at the page again.")


def _offer(place: Place, offer_id: UUID) -> Offer:
    """With every decision about the cause locked, so that two people cannot decide at once."""
    list(SchemaFix.objects.select_for_update().filter(schema=place[0], table=place[1], signature=place[2]).order_by("pk"))
    return offer_of(offer_id, place)


def _require_run(user: Any) -> None:
    permits.require(user, permits.MIGRATE)
    if not may_run():
        raise PolicyForbids(
            "Mendgate may not run DDL on this target.",
            "Download the migration and run it yourself, or set ALLOW_DDL=on (docs/howto/schema-proposals.md).",
        )


def _written(place: Place, offer: Offer, state: str, user: Any, why: str) -> SchemaFix:
    row = offer.decided or SchemaFix(id=offer.id, schema=place[0], table=place[1], signature=place[2], content_hash=offer.content_hash)
    made = offer.proposal
    row.kind, row.statements, row.sentence = made.kind, list(made.statements), made.sentence
    row.evidence, row.settles, row.leaves = made.evidence, list(made.settles), list(made.leaves)
    if row.state != State.PARTLY:
        row.agreed, row.agreed_ids = [], []
    row.state, row.decided_by, row.decided_at, row.why = state, user, timezone.now(), why
    row.error, row.tries, row.done, row.finished_at = None, 0, 0, None
    return row


def _agree(row: SchemaFix, user: Any) -> None:
    """One more, counted as a person and not as a name, which may change; None: nobody needs to."""
    if user is None:
        row.agreed, row.agreed_ids = [], []
    elif user.pk not in row.agreed_ids:
        row.agreed, row.agreed_ids = sorted({*row.agreed, user.username}), sorted({*row.agreed_ids, user.pk})


def _said(row: SchemaFix, run: bool, note: str) -> str:
    who = "run by Mendgate" if run else "run by a person"
    return "; ".join(part for part in (who, row.sentence, note) if part)
