"""``/api/v1/quarantine``: the writes that were kept, with their proposals, best first."""

from __future__ import annotations

from collections import defaultdict
from typing import Annotated, Any
from uuid import UUID

import msgspec
from django.db.models import Q
from django.http import HttpRequest
from ninja import Field, Router

from healing.api_caller import caller_of, own, sees_values
from healing.api_shapes import NO_NUL, Error, QuarantineOut
from healing.models import Proposal, QuarantineItem
from healing.refusals import NotFound
from healing.schema_fixes.offers import OPEN, Offers, offers_for
from healing.schema_fixes.told import as_told
from healing.sealed_rows import redacted, redacted_error, rows_of

router = Router(tags=["Quarantine"])
ERRORS = {401: Error, 403: Error, 404: Error, 422: Error, 500: Error, 503: Error}
_STATES = "waiting, replaying, replayed, parked, conflict or discarded; empty = all"
_KEYS = ("code", "message", "details", "hint")


@router.get("", response={200: list[QuarantineOut], **ERRORS}, summary="Writes that were kept", by_alias=True)
def list_items(
    request: HttpRequest,
    state: Annotated[str, Field(max_length=20, pattern=NO_NUL, description=_STATES)] = "",
    table: Annotated[str, Field(max_length=200, pattern=NO_NUL)] = "",
    limit: Annotated[int, Field(ge=1, le=200)] = 50,
    offset: Annotated[int, Field(ge=0, le=1_000_000)] = 0,
) -> list[dict[str, Any]]:
    """In order of arrival."""
    items = QuarantineItem.objects.filter(own(caller_of(request)))
    if state:
        items = items.filter(state=state)
    if table:
        items = items.filter(table=table)
    return _shown(list(items.order_by("number")[offset : offset + limit]), request)


@router.get("/{item_id}", response={200: QuarantineOut, **ERRORS}, summary="One kept write", by_alias=True)
def read_item(request: HttpRequest, item_id: UUID) -> dict[str, Any]:
    """404 also for what belongs to somebody else."""
    item = QuarantineItem.objects.filter(own(caller_of(request)), pk=item_id).first()
    if item is None:
        raise NotFound("There is no such quarantined write, or it is not yours.")
    return _shown([item], request)[0]


def _shown(items: list[QuarantineItem], request: HttpRequest) -> list[dict[str, Any]]:
    proposals, open_to_see = _proposals(items), sees_values(caller_of(request))
    offers = offers_for((i.schema, i.table, i.signature) for i in items if i.state in OPEN)
    places = ((item, (item.schema, item.table, item.signature)) for item in items)
    return [_item(item, proposals[place], offers.get(place), open_to_see) for item, place in places]


def _item(item: QuarantineItem, proposals: list[dict[str, Any]], offers: Offers | None, values: bool) -> dict[str, Any]:
    rows = rows_of(item)
    return {
        "id": item.pk, "state": item.state, "schema_": item.schema, "table": item.table, "operation": item.operation,
        "payload": rows if values else redacted(rows), "error": _error(item.error, values), "proposals": proposals,
        "schema_proposals": [as_told(offer, offers) for offer in offers.schema] if offers else [],
        "alternatives": [msgspec.to_builtins(way) for way in offers.instead] if offers else [],
        "receipt": item.receipt, "created_at": item.created_at, "attempts": item.attempts, "automatic": item.automatic,
        "last_error": _error(item.last_error, values) if item.last_error else None, "replay_receipt": item.replay_receipt,
    }  # fmt: skip


def _error(error: Any, values: bool) -> dict[str, Any]:
    shown = {key: error.get(key) for key in _KEYS}
    return shown if values else redacted_error(shown)


def _proposals(items: list[QuarantineItem]) -> dict[tuple[str, str, str], list[dict[str, Any]]]:
    """Open and approved proposals by cause, best first; one query for all items."""
    found: dict[tuple[str, str, str], list[dict[str, Any]]] = defaultdict(list)
    causes = {(i.schema, i.table, i.signature) for i in items}
    if not causes:
        return found
    wanted = Q(*(Q(schema=s, table=t, signature=g) for s, t, g in causes), _connector=Q.OR)
    for p in Proposal.objects.filter(wanted, state__in=["open", "approved"]).order_by("-probability", "created_at"):
        shown = {"id": p.pk, "fix": p.fix, "probability": p.probability, "source": p.source, "sentence": p.sentence, "evidence": p.evidence}
        found[p.schema, p.table, p.signature].append(shown)
    return found
