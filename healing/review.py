"""What a reviewer needs to judge a proposal, put together as cards."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q, Sum
from django.utils import timezone
from msgspec import Struct

from healing import binding, people, proof, review_rules
from healing.approval import LIKELY
from healing.binding import Bond
from healing.blast import Blast, blast_of
from healing.checked_fix import is_exact
from healing.models import Proposal, QuarantineItem
from healing.preview import Preview, preview
from healing.proof import GLANCE, Bounds, Pack
from healing.refusals import Refused
from healing.schema_fixes.offers import Offers, offers_for

MOST_CARDS = 20
_AT_LENGTH = Bounds(20_000, 3.0)
"""For a proposal on a page of its own."""


class Card(Struct, frozen=True):
    """A proposal, examples of what it would do (types only), and what it would do to everything that is stored."""

    proposal: Any
    bond: Bond
    rows: int
    waiting: int
    callers: int
    examples: list[Preview]
    pack: Pack | None
    unfit: str
    """Why there is no pack: it does not fit the live schema."""
    blast: Blast
    fix_text: str
    spoken_for: list[str]
    spoken_against: list[str]
    rivals: list[Any]
    offers: Offers | None
    """What the schema could become instead."""
    agreed: list[str]
    """Who said yes already, where several must."""
    missing: int
    needed: int
    own: bool
    """The one who looks wrote it, and four eyes are asked for."""
    lossy: bool
    """Something that was sent would be dropped, changed or made up: approving it takes a second key press."""

    @property
    def harmless(self) -> bool:
        """Exact, likely, and nothing speaks against it in the proof: may be chosen with others."""
        return not self.lossy and self.proposal.probability >= LIKELY and self.pack is not None and not self.pack.broken and not self.own


class Queue(Struct, frozen=True):
    """The cards of a page. ``more``: causes beyond them; ``snoozed``: causes put off."""

    cards: list[Card]
    more: int
    snoozed: int


def best_of_each_cause() -> list[Proposal]:
    """The best open proposal of each cause, the likeliest first."""
    return sorted(_best_of_each_cause(Proposal.objects.filter(state="open")), key=lambda p: -p.probability)


def queue(user: Any, *, snoozed: bool = False) -> Queue:
    """The best open proposal of each cause, most waiting writes first."""
    now = timezone.now()
    later = Q(snoozed_until__gt=now)
    best = _best_of_each_cause(Proposal.objects.filter(later if snoozed else ~later, state="open"))
    put_off = len(_best_of_each_cause(Proposal.objects.filter(later, state="open")))
    ranked = _ranked(best)
    shown = ranked[:MOST_CARDS]
    offers = offers_for(_cause(proposal) for proposal in shown)
    return Queue([_card(p, user, GLANCE, offers[_cause(p)]) for p in shown], len(ranked) - len(shown), put_off)


class Waiting(Struct, frozen=True):
    """A proposal that is to be decided, and what waits for it."""

    proposal: Proposal
    rows: int
    oldest: datetime | None


def waiting_for_review() -> list[Waiting]:
    """The best open proposal of each cause that anything waits for and that is not put off, most rows first."""
    open_now = Proposal.objects.filter(~Q(snoozed_until__gt=timezone.now()), state="open")
    items = QuarantineItem.objects.filter(state__in=["waiting", "parked"]).values_list("schema", "table", "signature")
    counts = {(s, t, g): (rows, at) for s, t, g, rows, at in items.annotate(n=Sum("row_count"), at=Min("created_at")).order_by()}
    found = [Waiting(p, *counts[_cause(p)]) for p in _best_of_each_cause(open_now) if _cause(p) in counts]
    return sorted(found, key=lambda each: -each.rows)


def card_of(proposal: Proposal, user: Any) -> Card:
    """One proposal, looked at at length."""
    return _card(proposal, user, _AT_LENGTH, offers_for([_cause(proposal)])[_cause(proposal)])


def _best_of_each_cause(found: Any) -> list[Proposal]:
    best: dict[tuple[str, str, str], Proposal] = {}
    for proposal in found.order_by("probability", "created_at"):
        best[_cause(proposal)] = proposal
    return list(best.values())


def _ranked(proposals: list[Proposal]) -> list[Proposal]:
    waiting = QuarantineItem.objects.filter(state__in=["waiting", "parked"]).values_list("schema", "table", "signature")
    counts = {(s, t, g): n for s, t, g, n in waiting.annotate(n=Count("pk")).order_by()}
    return sorted(proposals, key=lambda p: -counts.get(_cause(p), 0))


def _cause(proposal: Proposal) -> tuple[str, str, str]:
    return proposal.schema, proposal.table, proposal.signature


def _card(proposal: Proposal, user: Any, bounds: Bounds, offers: Offers) -> Card:
    place = {"schema": proposal.schema, "table": proposal.table, "signature": proposal.signature}
    items = QuarantineItem.objects.filter(**place, state__in=["waiting", "parked"])
    counts = items.aggregate(writes=Count("pk"), rows=Sum("row_count"), callers=Count("key", distinct=True))
    rivals = Proposal.objects.filter(**place, state="open").exclude(pk=proposal.pk).order_by("-probability")[:5]
    evidence = proposal.evidence if isinstance(proposal.evidence, dict) else {}
    told = evidence.get("ai")
    ai: dict[str, Any] = told if isinstance(told, dict) else {}
    pack, unfit = _pack(proposal, bounds)
    bond, rules = binding.bond_of(proposal), review_rules.current()
    return Card(
        proposal=proposal, bond=bond, waiting=counts["writes"], rows=counts["rows"] or 0, callers=counts["callers"], rivals=list(rivals),
        examples=_examples(proposal, pack), pack=pack, unfit=unfit, blast=blast_of(proposal),
        offers=offers if proposal.state == "open" else None,
        fix_text=json.dumps(proposal.fix, ensure_ascii=False, indent=1), lossy=not is_exact(proposal),
        spoken_for=_words(evidence.get("for")) + _words(ai.get("for")),
        spoken_against=_words(evidence.get("against")) + _words(ai.get("against")),
        agreed=list(people.valid(proposal, bond).values_list("approver_name", flat=True)), needed=rules.people,
        missing=people.missing(proposal, bond), own=rules.four_eyes and people.wrote(proposal, user),
    )  # fmt: skip


def _pack(proposal: Proposal, bounds: Bounds) -> tuple[Pack | None, str]:
    try:
        return proof.of_proposal(proposal, bounds), ""
    except Refused as error:
        return None, error.message


def _examples(proposal: Proposal, pack: Pack | None) -> list[Preview]:
    """Writes that would land, of different shapes; else the newest one, with why not."""
    cause = QuarantineItem.objects.filter(schema=proposal.schema, table=proposal.table, signature=proposal.signature)
    chosen = list(cause.filter(pk__in=pack.replayed.examples).order_by("-number")) if pack else []
    newest = chosen or list(cause.order_by("-number")[:1])
    return [preview(item, proposal.fix, values=False) for item in newest[:2]]


def _words(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(v) for v in value] if isinstance(value, list) else [str(value)]
