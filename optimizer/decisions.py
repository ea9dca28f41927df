"""What people decide about proposals: each function owns its transaction, and is the only way."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from healing import approval, audit, permits
from healing.checked_fix import is_exact
from healing.models import Proposal as Fix
from healing.models import Rule, Source
from healing.refusals import AlreadyDecided, DoesNotFit, Refused
from optimizer import experiments, inforce, propose
from optimizer.models import Experiment, Proposal, Setting

DECIDE = "optimizer.change_proposal"
SWITCH = "optimizer.change_setting"
State = Proposal.State


@transaction.atomic
def approve(proposal: Proposal, user: Any, why: str = "", now: datetime | None = None) -> str:
    """Says yes: a setting, a breaker or a prompt is tried, a merge becomes rules. Returns what happens next, for people."""
    permits.require(user, DECIDE)
    proposal, now = _locked(proposal), now or timezone.now()
    _require_open(proposal)
    if proposal.kind in ("rule", "cause"):
        raise DoesNotFit("A rule is decided in the review queue, with its cases beside it.")
    audit.record(user.username, "approve", "tuning", proposal.pk, why=f"{proposal.sentence} {why}".strip())
    if proposal.kind == "merge":
        made, left = _merge(proposal, user)
        propose.move(proposal, State.ADOPTED, who=user.username, action="approve", why=why, now=now)
        rest = f" {left} stand in the review queue: they are not exact, or more people must say yes." if left else ""
        return f"{made} rules are active, each bound to its own table.{rest}"
    begun = experiments.begin(proposal, now, user.username)
    return "It is being tried." if begun else f"It was stopped: {Proposal.objects.get(pk=proposal.pk).why}"


@transaction.atomic
def reject(proposal: Proposal, user: Any, why: str, now: datetime | None = None) -> None:
    """Says no for good: the same idea is not proposed again."""
    permits.require(user, DECIDE)
    why = permits.require_reason(why)
    proposal = _locked(proposal)
    _require_open(proposal)
    audit.record(user.username, "reject", "tuning", proposal.pk, why=f"{proposal.sentence} {why}")
    propose.move(proposal, State.REJECTED, who=user.username, action="reject", why=why, now=now or timezone.now())


@transaction.atomic
def roll_back(proposal: Proposal, user: Any, why: str, now: datetime | None = None) -> None:
    """Takes back what is tried or in force."""
    permits.require(user, DECIDE)
    why = permits.require_reason(why)
    proposal = _locked(proposal)
    if proposal.state not in (State.TRYING, State.ADOPTED) or not Experiment.objects.filter(proposal=proposal).exists():
        raise AlreadyDecided(f"This proposal is {proposal.state}; there is nothing to take back.")
    audit.record(user.username, "roll back", "tuning", proposal.pk, why=f"{proposal.sentence} {why}")
    if not experiments.roll_back(proposal, now or timezone.now(), who=user.username, why=why):
        raise AlreadyDecided("Something newer is in force there: nothing was changed.")


@transaction.atomic
def switch(setting: Setting, automatic: bool, user: Any) -> None:
    """Whether steps of a setting are tried unasked."""
    permits.require(user, SWITCH)
    Setting.objects.filter(pk=setting.pk).update(automatic=automatic)
    audit.record(user.username, "set", "tuning", setting.pk, why=f"{setting}: {'tried by itself' if automatic else 'asks first'}")


def _merge(proposal: Proposal, user: Any) -> tuple[int, int]:
    """The same fix as a rule of its own for each table: a rule is bound to columns (docs/adr/0011), so one for "any table" would be bound
    to nothing. Tables that it does not fit are left out. What loses something is looked at table by table, as everywhere. Returns how
    many became rules, and how many are left to people."""
    pattern = Rule.objects.get(pk=proposal.evidence["rules"][0])
    made, left = list[str](), 0
    for table in proposal.evidence["tables"]:
        place = {"schema": pattern.schema, "table": table, "signature": pattern.signature, "content_hash": pattern.content_hash}
        facts = {"fix": pattern.fix, "sentence": pattern.sentence, "probability": 0.5, "source": Source.PERSON, "author": proposal.proposer}
        fix, _ = Fix.objects.get_or_create(**place, defaults=facts)
        if fix.state != Fix.State.OPEN:
            continue
        if is_exact(fix) and (active := _approved(fix, user, proposal.sentence)) is not None:
            made, left = ([*made, str(fix.pk)], left) if active else (made, left + 1)
        left += not is_exact(fix)
    Proposal.objects.filter(pk=proposal.pk).update(evidence={**proposal.evidence, "fixes": made})
    return len(made), left


def _approved(fix: Fix, user: Any, sentence: str) -> bool | None:
    """Whether it is a rule now, or more people must say yes; None where it was refused."""
    try:
        with transaction.atomic():
            return approval.approve(fix, user, f"merged: {sentence}") is not None
    except Refused:
        return None


def _locked(proposal: Proposal) -> Proposal:
    return Proposal.objects.select_for_update().get(pk=proposal.pk)


def _require_open(proposal: Proposal) -> None:
    if proposal.state != State.OPEN:
        raise AlreadyDecided(f"This proposal is {proposal.state} already.", proposal.why or None)


def value_now(proposal: Proposal) -> Any:
    """What is set at its place now."""
    return inforce.value_of(inforce.setting_of(proposal.name, proposal.place))
