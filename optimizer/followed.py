"""Proposals whose fate lies elsewhere: a rule that was approved or rejected in the review queue, a cause whose writes have landed. Their
state follows, and what came of them is measured."""

from __future__ import annotations

from datetime import datetime

import msgspec
from django.db.models import QuerySet

from healing.models import Proposal as Fix
from healing.models import QuarantineItem, Rule
from optimizer import propose
from optimizer.core import impact
from optimizer.core.idea import Expected
from optimizer.models import Proposal

State = Proposal.State


def follow(now: datetime) -> int:
    """Brings every such proposal up to date; returns how many changed their state."""
    moved = 0
    for proposal in Proposal.objects.filter(kind__in=["rule", "cause", "merge"], state=State.OPEN):
        moved += _rule(proposal, now) if proposal.kind == "rule" else proposal.kind == "cause" and _cause(proposal, now)
    for proposal in Proposal.objects.filter(kind__in=["rule", "merge", "prove"], state=State.ADOPTED):
        _measure(proposal, now)
    return moved


def _rule(proposal: Proposal, now: datetime) -> bool:
    fix = Fix.objects.filter(pk=proposal.fix).select_related("decided_by").first() if proposal.fix else None
    if fix is None or fix.state in (Fix.State.OPEN, Fix.State.SUPERSEDED):
        return False
    who = fix.decided_by.get_username() if fix.decided_by else "review queue"
    approved = fix.state == Fix.State.APPROVED
    action = "approve" if approved else "reject"
    propose.move(proposal, State.ADOPTED if approved else State.REJECTED, who=who, action=action, why=fix.why, now=now)
    return True


def _cause(proposal: Proposal, now: datetime) -> bool:
    """Settled when nothing waits for it any more."""
    items = _items(proposal)
    if items.filter(state__in=["waiting", "parked", "replaying"]).exists():
        return False
    landed, every = items.filter(state="replayed").count(), items.count()
    _keep(proposal, impact.of_count("kept writes that land", landed, "writes"), now)
    propose.move(proposal, State.SETTLED, who="people", action="settle", why=f"{landed} of {every} kept writes landed.", now=now)
    return True


def _measure(proposal: Proposal, now: datetime) -> None:
    """How a rule's heals turned out: right unless taken back."""
    ids = _rules_of(proposal)
    rows = list(Rule.objects.filter(pk__in=ids).values_list("successes", "failures", "reversals"))
    good, bad = sum(s for s, _, _ in rows), sum(f + r for _, f, r in rows)
    if not good + bad:
        return
    if proposal.kind == "rule":  # each heal by the rule is an asking of the AI that was not needed
        days = max(1.0, (now - proposal.changed_at).total_seconds() / 86_400)
        _keep(proposal, impact.of_count(str(proposal.expected["metric"]), round((good - bad) * 7 / days), "fixes"), now)
    elif proposal.kind == "merge":
        _keep(proposal, impact.of_count(str(proposal.expected["metric"]), good - bad, "writes"), now)
    else:
        _keep(proposal, impact.of_share(str(proposal.expected["metric"]), good, good + bad), now)


def _rules_of(proposal: Proposal) -> list[str]:
    if proposal.kind == "prove":
        return [proposal.name]
    fixes = [str(proposal.fix)] if proposal.kind == "rule" and proposal.fix else proposal.evidence.get("fixes", [])
    return [str(pk) for pk in Fix.objects.filter(pk__in=fixes, rule__isnull=False).values_list("rule", flat=True)]


def _items(proposal: Proposal) -> QuerySet[QuarantineItem]:
    schema, _, table = proposal.place.partition(".")
    return QuarantineItem.objects.filter(schema=schema, table=table, signature=proposal.name)


def _keep(proposal: Proposal, measured: Expected, now: datetime) -> None:
    Proposal.objects.filter(pk=proposal.pk).update(measured=msgspec.to_builtins(measured), measured_at=now)
