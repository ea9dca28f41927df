"""Later, and never mind: a proposal put off, and a person's own last decision taken back.

rejected   -> open again
approved   -> the rule is over (one that it replaced is in force again), its replay is cancelled, the proposal and its siblings are
                  open again; what landed stays landed
agreed     -> one approval less (more people were needed)
edited     -> the former fix is open again, the new one superseded
snoozed    -> shown again
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from msgspec import Struct

from healing import activation, audit, permits, rules
from healing.certified import evidence
from healing.models import Decision, Proposal, Replay, Rule
from healing.notify import notify
from healing.refusals import AlreadyDecided, NotFound, WrongState
from healing.replay_orders import lock_cause

UNDOABLE = ("approve", "agree", "reject", "edit", "snooze")
EDITED_INTO = "edited into "
WITHIN = timedelta(hours=1)
"""An older decision is not taken back by a key press: retire the rule, or write the fix anew."""
LONGEST = timedelta(days=30)


class Undone(Struct, frozen=True):
    """What was taken back. ``landed``: writes that the rule had healed or replayed meanwhile; they stay."""

    proposal: Proposal
    action: str
    landed: int = 0


@transaction.atomic
def snooze(proposal: Proposal, until: datetime, user: Any, why: str = "") -> None:
    """Not shown before then. The writes wait on."""
    permits.require(user, permits.DECIDE)
    now = timezone.now()
    if not now < until <= now + LONGEST:
        raise WrongState(f"Put it off for at most {LONGEST.days} days.")
    locked = Proposal.objects.select_for_update().get(pk=proposal.pk)
    if locked.state != Proposal.State.OPEN:
        raise AlreadyDecided(f"This proposal was {locked.state} already.")
    locked.snoozed_until = until
    locked.save(update_fields=["snoozed_until"])
    said = f"until {until:%Y-%m-%d %H:%M %Z}" + (f": {why.strip()}" if why.strip() else "")
    audit.record(user.username, "snooze", "proposal", locked.pk, content_hash=locked.content_hash, why=said)


def last_of(user: Any) -> Decision | None:
    """The person's last decision about a proposal that may still be taken back."""
    recent = Decision.objects.filter(who=user.username, kind="proposal", at__gte=timezone.now() - WITHIN).order_by("-number")[:50]
    undone = set[str]()
    for decision in recent:
        if decision.action == "undo":
            undone.add(decision.why.rpartition(" ")[2])
        elif decision.action in UNDOABLE and str(decision.number) not in undone:
            return decision
    return None


@transaction.atomic
def undo_last(user: Any) -> Undone:
    """Takes back the person's own last decision, if nobody decided since."""
    permits.require(user, permits.DECIDE)
    decision = last_of(user)
    if decision is None:
        raise NotFound("You decided nothing in the last hour.", "A rule is ended on its own page: Retire.")
    found = Proposal.objects.filter(pk=decision.subject).first()
    if found is None:
        raise NotFound("That proposal is gone.")
    cause = Proposal.objects.filter(schema=found.schema, table=found.table, signature=found.signature)
    proposal = next(p for p in cause.select_for_update().order_by("pk") if p.pk == found.pk)
    lock_cause(proposal.schema, proposal.table, proposal.signature)
    landed = _UNDO[decision.action](proposal, user)
    if decision.action in ("approve", "reject"):
        evidence.note_undo(proposal, user.username)
    why = f"{decision.action}, decision {decision.number}"
    audit.record(user.username, "undo", "proposal", proposal.pk, content_hash=proposal.content_hash, why=why)
    return Undone(proposal, decision.action, landed)


def _unreject(proposal: Proposal, user: Any) -> int:
    _require(proposal, Proposal.State.REJECTED, user)
    _reopen(proposal)
    if proposal.rule is not None and proposal.rule.state == Rule.State.REJECTED:
        Rule.objects.filter(pk=proposal.rule.pk).update(state=Rule.State.REVIEW)
    return 0


def _unapprove(proposal: Proposal, user: Any) -> int:
    _require(proposal, Proposal.State.APPROVED, user)
    rule = proposal.rule
    if rule is None or rule.state != Rule.State.ACTIVE:
        raise WrongState("Its rule is not active any more.")
    rules.set_aside(rule, user.username, "the approval was taken back")
    going = Replay.objects.filter(rule=rule, state__in=[Replay.State.RUNNING, Replay.State.PAUSED])
    for order in going.select_for_update():
        order.items.filter(state="waiting").update(replay=None, lease_until=None)
        order.state, order.finished_at = Replay.State.CANCELLED, timezone.now()
        order.save(update_fields=["state", "finished_at"])
    siblings = Proposal.objects.filter(schema=proposal.schema, table=proposal.table, signature=proposal.signature)
    superseded = siblings.filter(state=Proposal.State.SUPERSEDED, why=activation.superseded_by(proposal))
    superseded.update(state=Proposal.State.OPEN, decided_by=None, decided_at=None, why="")
    rules.take_back(proposal, f"taken back by {user.username}")
    _reopen(proposal)
    _restore(rule, user)
    notify("rules")
    return rule.successes + sum(order.items.filter(state="replayed").count() for order in rule.replay_set.all())


def _restore(rule: Rule, user: Any) -> None:
    """The rule that this one had replaced is in force again, unless the database says that too few people stand behind it today."""
    for older in Rule.objects.select_for_update().filter(state=Rule.State.RETIRED, why=activation.replaced_by(rule)):
        older.state, older.why = Rule.State.ACTIVE, ""
        try:
            with transaction.atomic():
                older.save(update_fields=["state", "why"])
        except IntegrityError:
            continue
        audit.record(user.username, "restore", "rule", older.pk, content_hash=older.content_hash, why=f"instead of {rule.pk}")


def _unagree(proposal: Proposal, user: Any) -> int:
    if proposal.state != Proposal.State.OPEN or not rules.take_back(proposal, f"taken back by {user.username}", user):
        raise WrongState(f"The approval does not wait for others any more; the proposal is {proposal.state}.")
    return 0


def _unedit(proposal: Proposal, user: Any) -> int:
    _require(proposal, Proposal.State.SUPERSEDED, user)
    if not proposal.why.startswith(EDITED_INTO):
        raise WrongState("Somebody decided since.")
    written = Proposal.objects.filter(pk=proposal.why.removeprefix(EDITED_INTO)).first()
    if written is not None and written.state == Proposal.State.APPROVED:
        raise WrongState("The edited fix was approved meanwhile; retire its rule instead.")
    if written is not None and written.state == Proposal.State.OPEN:
        written.state, written.decided_by, written.decided_at = Proposal.State.SUPERSEDED, user, timezone.now()
        written.why = "the edit was taken back"
        written.save(update_fields=["state", "decided_by", "decided_at", "why"])
        rules.take_back(written, written.why)
    _reopen(proposal)
    return 0


def _unsnooze(proposal: Proposal, user: Any) -> int:
    if proposal.state != Proposal.State.OPEN or proposal.snoozed_until is None:
        raise WrongState("It is not put off any more.")
    proposal.snoozed_until = None
    proposal.save(update_fields=["snoozed_until"])
    return 0


_UNDO = {"approve": _unapprove, "agree": _unagree, "reject": _unreject, "edit": _unedit, "snooze": _unsnooze}


def _require(proposal: Proposal, state: str, user: Any) -> None:
    """Still as the person left it."""
    if proposal.state != state or proposal.decided_by_id != user.pk:
        raise WrongState(f"Somebody decided since: the proposal is {proposal.state}.")


def _reopen(proposal: Proposal) -> None:
    proposal.state, proposal.decided_by, proposal.decided_at, proposal.why = Proposal.State.OPEN, None, None, ""
    proposal.save(update_fields=["state", "decided_by", "decided_at", "why"])
