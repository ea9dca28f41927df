"""How good a prompt version is, and what the AI tier did, all counted from its rows."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Avg, Count, Exists, F, OuterRef, Q, Sum
from django.db.models.functions import Coalesce
from msgspec import Struct

from healing.assist.models import AssistRun, Prompt
from healing.core.assist.agree import FAIR
from healing.models import QuarantineItem, Receipt

_WEIGHT = 4.0
"""how many askings the first guess about a version is worth."""
_UNDONE = Receipt.objects.filter(Q(outcome="undone") | Q(feedback__ever_wrong=True)).filter(
    Q(pk=OuterRef("receipt")) | Q(pk=OuterRef("replay_receipt"))
)


class Score(Struct, frozen=True):
    """Counts of runs; ``right``: approved by a person, or applied and not taken back; ``wrong``: rejected or taken back."""

    asked: int = 0
    answered: int = 0
    invalid: int = 0
    abstained: int = 0
    proven: int = 0
    right: int = 0
    wrong: int = 0
    applied: int = 0
    """writes that landed with an AI fix."""
    tokens: int = 0
    cost: float = 0.0
    seconds: float = 0.0
    """mean of a call."""


def of_prompt(prompt: Prompt) -> Score:
    """One version's score."""
    return _score(AssistRun.objects.filter(prompt=prompt))


def since(moment: datetime | None = None) -> Score:
    """Everything since a moment (None = ever): the numbers that metrics read."""
    runs = AssistRun.objects.all()
    return _score(runs if moment is None else runs.filter(created_at__gte=moment))


def trust(prompt: Prompt | None) -> float:
    """How often this version was right so far, from a cautious first guess."""
    if prompt is None:
        return FAIR
    score = of_prompt(prompt)
    return (score.right + FAIR * _WEIGHT) / (score.right + score.wrong + _WEIGHT)


def _score(runs: Any) -> Score:
    verdict = AssistRun.Verdict
    asked, answered = Q(asked=True), Q(asked=True) & ~Q(verdict__in=[verdict.UNAVAILABLE, verdict.FAILED])
    counts = runs.aggregate(
        n_asked=Count("pk", filter=asked), n_answered=Count("pk", filter=answered),
        n_invalid=Count("pk", filter=Q(verdict=verdict.INVALID)), n_abstained=Count("pk", filter=Q(verdict=verdict.ABSTAINED)),
        n_proven=Count("pk", filter=Q(verdict=verdict.PROVEN)), n_cost=Coalesce(Sum("cost"), 0.0),
        n_seconds=Coalesce(Avg("seconds", filter=asked), 0.0), n_tokens=Coalesce(Sum(F("input_tokens") + F("output_tokens")), 0),
    )  # fmt: skip
    facts = {name.removeprefix("n_"): value for name, value in counts.items()}
    healed = QuarantineItem.objects.filter(assist__in=runs, state=QuarantineItem.State.REPLAYED)
    undone = healed.filter(Exists(_UNDONE)).values("assist").distinct()
    good = runs.filter(Q(proposal__state="approved") | Q(pk__in=healed.values("assist"))).exclude(pk__in=undone)
    bad = runs.filter(Q(proposal__state="rejected") | Q(pk__in=undone))
    right, wrong = good.exclude(proposal__state="rejected").count(), bad.count()
    return Score(**facts, right=right, wrong=wrong, applied=healed.count())
