"""What the pages say of rules: lanes by state, how much the evidence weighs, who approved, what was decided."""

from __future__ import annotations

from typing import Any

from django.db.models import Q
from msgspec import Struct

from healing.core.confidence import interval
from healing.models import Approval, Decision, Rule
from healing.review import best_of_each_cause

MOST_IN_LANE = 40
MOST_DECISIONS = 50


class Bar(Struct, frozen=True):
    """A part of the evidence, in percent of all of it."""

    name: str
    count: int
    left: str
    width: str


class Weight(Struct, frozen=True):
    """The evidence as a picture: between ``low`` and ``high`` the rate of right heals lies with 90 %."""

    total: int
    bars: tuple[Bar, ...]
    low: float
    high: float

    @property
    def span(self) -> tuple[str, str]:
        """Left edge and width of the interval, in percent."""
        return f"{100 * self.low:.2f}", f"{max(0.5, 100 * (self.high - self.low)):.2f}"


class Entry(Struct, frozen=True):
    """A rule in a lane, with its evidence."""

    rule: Any
    weight: Weight
    by_itself: bool


class Lane(Struct, frozen=True):
    """``proposals`` wait for a decision; ``rules`` are in one of ``states``; ``all`` of them, also those not shown."""

    name: str
    word: str
    empty: str
    all: int
    query: str
    proposals: tuple[Any, ...] = ()
    rules: tuple[Entry, ...] = ()


def lanes() -> list[Lane]:
    """Proposed, active, demoted."""
    waiting = [proposal for proposal in best_of_each_cause() if proposal.rule_id is None]
    proposed = Lane("Proposed", "proposed", "Nothing waits for a decision.", len(waiting), "", tuple(waiting[:MOST_IN_LANE]))
    active = Rule.objects.filter(state=Rule.State.ACTIVE).order_by("-last_used_at", "-approved_at")
    stopped = Rule.objects.filter(state__in=[Rule.State.DEMOTED, Rule.State.REVIEW]).order_by("-approved_at")
    return [
        proposed,
        _lane("Active", "active", "No rule heals anything yet.", active, "state__exact=active"),
        _lane("Demoted, back to review", "demoted", "No rule was stopped.", stopped, "state__in=demoted,review"),
    ]


def weight_of(rule: Rule) -> Weight:
    """Bars and interval."""
    total, left, bars = rule.successes + rule.failures + rule.reversals, 0.0, list[Bar]()
    for name, count in (("good", rule.successes), ("bad", rule.failures), ("back", rule.reversals)):
        width = 100 * count / total if total else 0.0
        bars.append(Bar(name, count, f"{left:.2f}", f"{width:.2f}"))
        left += width
    return Weight(total, tuple(bars), *interval(rule.successes, rule.failures + rule.reversals))


def history_of(rule: Rule) -> list[Decision]:
    """What was decided about the rule and about the proposal that it came from, newest first."""
    about = Q(kind="rule", subject=str(rule.pk)) | Q(
        kind="proposal", subject__in=[str(pk) for pk in rule.proposal_set.values_list("pk", flat=True)]
    )
    return list(Decision.objects.filter(about).order_by("-number")[:MOST_DECISIONS])


def approvals_of(rule: Rule) -> list[Approval]:
    """Who said yes, those taken back too."""
    return list(Approval.objects.filter(proposal__rule=rule).order_by("-at"))


def _lane(name: str, word: str, empty: str, found: Any, query: str) -> Lane:
    entries = tuple(Entry(rule, weight_of(rule), rule.certified_at is not None) for rule in found[:MOST_IN_LANE])
    return Lane(name, word, empty, found.count(), query, rules=entries)
