"""A schema proposal as the API tells it, and as a file."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from healing.core.ddl import file_name, file_text
from healing.schema_fixes.offers import Offer, Offers


def as_told(offer: Offer, offers: Offers) -> dict[str, Any]:
    """One entry of ``schema_proposals``."""
    made, decided = offer.proposal, offer.decided
    return {
        "id": offer.id, "kind": made.kind, "sql": made.sql, "migration": named(offer), "sentence": made.sentence, "evidence": made.evidence,
        "settles": list(made.settles), "leaves": list(made.leaves), "cases": offers.waiting.writes, "waiting": str(offers.waiting),
        "state": decided.state if decided else "open", "error": decided.error if decided else None,
    }  # fmt: skip


def named(offer: Offer) -> str:
    """The migration's file, as of now."""
    return file_name(offer.proposal, timezone.now())


def written(offer: Offer, offers: Offers) -> str:
    """What is in it."""
    return file_text(offer.proposal, str(offers.waiting))
