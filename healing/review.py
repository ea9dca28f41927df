"""What a reviewer needs to judge a proposal, put together as cards."""

from __future__ import annotations

import json
from typing import Any

from django.db.models import Count
from msgspec import Struct

from healing.checked_fix import parsed
from healing.core import fixes
from healing.models import Proposal, QuarantineItem
from healing.preview import Outlook, Preview, outlook, preview
from healing.refusals import Refused
from healing.schema_fixes.offers import Offers, offers_for

MOST_CARDS = 30


class Card(Struct, frozen=True):
    """A proposal, an example of what it would do (types only), and what it would do to all that waits."""

    proposal: Any
    waiting: int
    callers: int
    example: Preview | None
    outlook: Outlook
    fix_text: str
    spoken_for: list[str]
    spoken_against: list[str]
    rivals: list[Any]
    offers: Offers | None
    """What the schema could become instead."""
    lossy: bool
    """Something that was sent would be dropped, changed or made up: approving it takes a second key press."""


def cards(proposals: list[Proposal] | None = None) -> list[Card]:
    """Cards of the given proposals, else of the open ones: the best of each cause, most waiting writes first."""
    found = proposals if proposals is not None else list(_best_of_each_cause())
    offers = offers_for((p.schema, p.table, p.signature) for p in found)
    made = [_card(proposal, offers[proposal.schema, proposal.table, proposal.signature]) for proposal in found]
    return sorted(made, key=lambda card: -card.waiting)[:MOST_CARDS]


def _best_of_each_cause() -> list[Proposal]:
    best: dict[tuple[str, str, str], Proposal] = {}
    for proposal in Proposal.objects.filter(state="open").order_by("probability", "created_at"):
        best[proposal.schema, proposal.table, proposal.signature] = proposal
    return list(best.values())[:200]


def _card(proposal: Proposal, offers: Offers) -> Card:
    place = {"schema": proposal.schema, "table": proposal.table, "signature": proposal.signature}
    items = QuarantineItem.objects.filter(**place, state__in=["waiting", "parked"])
    counts = items.aggregate(writes=Count("pk"), callers=Count("key", distinct=True))
    first = QuarantineItem.objects.filter(**place).order_by("-number").first()
    rivals = Proposal.objects.filter(**place, state="open").exclude(pk=proposal.pk).order_by("-probability")[:5]
    evidence = proposal.evidence if isinstance(proposal.evidence, dict) else {}
    told = evidence.get("ai")
    ai: dict[str, Any] = told if isinstance(told, dict) else {}
    return Card(
        proposal=proposal, waiting=counts["writes"], callers=counts["callers"], rivals=list(rivals),
        example=preview(first, proposal.fix, values=False) if first else None, outlook=outlook(proposal),
        fix_text=json.dumps(proposal.fix, ensure_ascii=False, indent=1),
        offers=offers if proposal.state == "open" else None,
        lossy=_lossy(proposal), spoken_for=_words(evidence.get("for")) + _words(ai.get("for")),
        spoken_against=_words(evidence.get("against")) + _words(ai.get("against")),
    )  # fmt: skip


def _lossy(proposal: Proposal) -> bool:
    try:
        return not all(fixes.is_exact(op) for op in parsed(proposal.fix))
    except Refused:
        return True


def _words(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]
