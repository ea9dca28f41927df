"""What waits, grouped by cause: same relation, same misfits."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, Q, Sum
from django.db.models.functions import Coalesce
from msgspec import Struct

from healing.approval import LIKELY
from healing.binding import bond_of
from healing.checked_fix import is_exact
from healing.models import Proposal, QuarantineItem

OPEN = ("waiting", "parked", "conflict")
MOST_GROUPS = 200


class Cause(Struct, frozen=True):
    """One cause with what waits for it and the best idea for it."""

    schema: str
    table: str
    signature: str
    writes: int
    rows: int
    callers: int
    oldest: datetime
    states: dict[str, int]
    best: Any = None
    seen: str = ""
    """The bond of the best proposal where it may be approved at a glance: it is exact, and likely."""


def waiting_causes() -> list[Cause]:
    """The causes with most writes first; with their best open proposal. Two queries, one look at each write: they may be very many."""
    items = QuarantineItem.objects.filter(state__in=OPEN)
    in_state = {state: Count("pk", filter=Q(state=state)) for state in OPEN}
    groups = (
        items.values("schema", "table", "signature")
        .annotate(writes=Count("pk"), rows=Coalesce(Sum("row_count"), 0), callers=Count("key", distinct=True), oldest=Min("created_at"))
        .annotate(**in_state)
        .order_by("-writes", "oldest")[:MOST_GROUPS]
    )
    best = {(p.schema, p.table, p.signature): p for p in Proposal.objects.filter(state="open").order_by("probability")}
    return [_cause(group, best.get(_place(group))) for group in groups]


def _cause(group: Any, best: Proposal | None) -> Cause:
    states = {state: count for state in OPEN if (count := group.pop(state))}
    plain = best is not None and is_exact(best) and best.probability >= LIKELY
    return Cause(**group, states=states, best=best, seen=bond_of(best).token if best is not None and plain else "")


def ids_of(schema: str, table: str, signature: str) -> list[UUID]:
    """The writes that wait or were parked for this cause."""
    place = {"schema": schema, "table": table, "signature": signature}
    return list(QuarantineItem.objects.filter(**place, state__in=["waiting", "parked"]).values_list("pk", flat=True))


def _place(group: Any) -> tuple[str, str, str]:
    return group["schema"], group["table"], group["signature"]
