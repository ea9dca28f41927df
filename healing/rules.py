"""The life of a rule after its approval: ended by a person, taken back by evidence, counted as it is used."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db import transaction
from django.db.models import F
from django.utils import timezone

from healing import audit, permits
from healing.certified import evidence
from healing.models import Approval, Doubt, MatchVerdict, Proposal, Rule
from healing.notify import notify
from healing.refusals import WrongState

REVERSED = "reversal"
"""Who demotes a rule because of what its writers say."""
_ACTIONS: dict[str, str] = {
    Rule.State.RETIRED: "retire",
    Rule.State.REJECTED: "reject",
    Rule.State.DEMOTED: "demote",
    Rule.State.REVIEW: "review",
}
ENDS = tuple(_ACTIONS.values())
"""What the audit calls the ways in which a rule stops being in force."""
LIVE = {Rule.State.ACTIVE, Rule.State.APPROVED, Rule.State.REVIEW, Rule.State.DEMOTED}


def retire(rule: Rule, user: Any, why: str) -> None:
    """Ends a rule for good; gateways stop using it as soon as they are notified."""
    permits.require(user, permits.CHANGE_RULE)
    _leave(rule, Rule.State.RETIRED, user.username, permits.require_reason(why))


def set_aside(rule: Rule, who: str, why: str) -> None:
    """A person said no to a rule that waited for a second look; or took an approval back. It is over for good."""
    _leave(rule, Rule.State.REJECTED, who, permits.require_reason(why))


def back_to_review(rule: Rule, who: str, why: str) -> None:
    """What it was approved for is not there any more: a person looks again."""
    _leave(rule, Rule.State.REVIEW, who, permits.require_reason(why))


@transaction.atomic
def demote(rule: Rule, who: str, why: str) -> None:
    """Stops a rule because of evidence against it; it may be approved again. ``who`` is a person or the part that measured."""
    lock_proposals([rule.pk])
    evidence.note_rules([str(rule.pk)], MatchVerdict.How.DEMOTED, who)
    _leave(rule, Rule.State.DEMOTED, who, permits.require_reason(why))


@transaction.atomic
def count_reversal(rule_ids: list[str], why: str = "", sender: str = "") -> None:
    """A heal by these rules was undone, or called wrong: the rules stop, whatever they did before, and are proposed again with that
    against them. A person decides.

    The word of one ``sender`` (a caller's identity) against a rule that a person approved stops it for that sender only: else anybody
    could stop it for all. The second sender, a person, and whoever speaks for all ('') stop it for everybody."""
    lock_proposals(rule_ids)
    locked = list(Rule.objects.select_for_update().filter(pk__in=rule_ids).order_by("pk"))
    alone = {rule.pk for rule in locked if sender and rule.state == Rule.State.ACTIVE and _stands_alone(rule, sender)}
    evidence.note_rules([str(rule.pk) for rule in locked if rule.pk not in alone], MatchVerdict.How.REVERSED, REVERSED)
    for rule in locked:
        Rule.objects.filter(pk=rule.pk).update(reversals=F("reversals") + 1)
        said = why or "a write that it healed was taken back, or called wrong"
        if rule.pk in alone:
            _doubt(rule, sender, said)
        elif rule.state == Rule.State.ACTIVE:
            demote(rule, REVERSED, said)
        elif rule.state == Rule.State.RETIRED:  # an undo that would bring it back asks for these very words
            Rule.objects.filter(pk=rule.pk).update(why=f"{rule.why}; {said}")


def _stands_alone(rule: Rule, sender: str) -> bool:
    """Whether a person approved the rule, and nobody else doubts it."""
    return rule.approved_by_id is not None and not rule.doubts.exclude(identity=sender).exists()


def _doubt(rule: Rule, sender: str, why: str) -> None:
    """The rule is used no more for that sender, and goes on for others while people look again."""
    doubt, new = Doubt.objects.get_or_create(rule=rule, identity=sender)
    if not new:
        Doubt.objects.filter(pk=doubt.pk).update(times=F("times") + 1)
        return
    audit.record(REVERSED, "doubt", "rule", rule.pk, content_hash=rule.content_hash, why=f"{why}; it stops for its sender only")
    reopen(rule, f"{why}; the rule stops for that sender, and goes on for others until somebody decides", lapse=False)
    notify("rules")


@transaction.atomic
def _leave(rule: Rule, state: str, who: str, why: str) -> None:
    lock_proposals([rule.pk])
    locked = Rule.objects.select_for_update().get(pk=rule.pk)
    if locked.state == state:
        return
    if locked.state not in LIVE:
        raise WrongState(f"The rule is {locked.state}.")
    locked.state, locked.why = state, why
    locked.save(update_fields=["state", "why"])
    audit.record(who, _ACTIONS[state], "rule", rule.pk, content_hash=rule.content_hash, why=why)
    if state in (Rule.State.DEMOTED, Rule.State.REVIEW):
        reopen(rule, why)
    notify("rules")


def lock_proposals(rule_ids: Iterable[Any]) -> None:
    """Proposals come first, then rules, then the audit: in this order for everybody, or two deciders could lock up."""
    list(Proposal.objects.select_for_update().filter(rule__in=list(rule_ids)).order_by("pk").values_list("pk"))


def reopen(rule: Rule, why: str, *, lapse: bool = True) -> None:
    """The rule's proposal waits for a person again, and nobody's earlier yes counts. Not ``lapse``: the rule stays in force, and the
    approvals that it stands on stay on record; being about less doubt than there is now, they do not count for a new decision."""
    for proposal in Proposal.objects.select_for_update().filter(rule=rule, state=Proposal.State.APPROVED):
        evidence = proposal.evidence if isinstance(proposal.evidence, dict) else {}
        against = [*evidence.get("against", []), why] if isinstance(evidence.get("against", []), list) else [why]
        proposal.state, proposal.evidence = Proposal.State.OPEN, {**evidence, "against": list(dict.fromkeys(against))}
        proposal.save(update_fields=["state", "evidence"])
        if lapse:
            take_back(proposal, why)


def take_back(proposal: Proposal, why: str, approver: Any = None) -> int:
    """Approvals that no longer count: everybody's, or one person's. Returns how many those were."""
    given = Approval.objects.filter(proposal=proposal, revoked_at=None)
    mine = given if approver is None else given.filter(approver=approver)
    return mine.update(revoked_at=timezone.now(), why_revoked=why)
