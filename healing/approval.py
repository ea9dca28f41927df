"""Decisions about proposals: the only way by which a person's yes makes a fix an active rule.

Each function owns its transaction: the decision, its audit row, the notification and the replay order stand or fall together. What is
checked here in words, the database holds too (migration 0010), for whoever comes by another door.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone
from msgspec import Struct

from healing import activation, audit, binding, people, permits, policy, proof, review_rules, rules
from healing.certified import evidence
from healing.checked_fix import checked, content_hash, is_exact, parsed, plain, sentence
from healing.core.chance import percent
from healing.models import Proposal, Rule, Source
from healing.notify import notify
from healing.proof import Bounds, Pack
from healing.refusals import AlreadyDecided, DoesNotFit, FourEyes, NotFound, PolicyForbids, Refused, Stale, TouchesHealthy
from healing.replay_orders import lock_cause, order_for_cause

LIKELY = 0.9
"""The least probability of what may be approved at a glance, with others."""
AT_APPROVAL = Bounds(5_000, 3.0)
"""What is looked at once more when somebody says yes; it is kept with the rule."""


def approve(proposal: Proposal, user: Any, note: str = "", seen: str = "") -> Rule | None:
    """Says yes. The last yes that is needed makes the fix an active rule and orders the replay of the writes that wait for it; before,
    it is None. ``seen`` is the bond that the person looked at (``binding``).

    1. the person may decide, and did not write the fix where four eyes are asked for
    2. everything about this cause is locked: a second approver waits, then finds the same rule
    3. it is still what was looked at; the policy uses rules; no healthy write would be touched
    4. with enough people, the rule becomes active in place of an older one; sibling proposals are superseded
    """
    permits.require(user, permits.DECIDE)
    return _approve(proposal, user, note, seen, _proven(proposal))


@transaction.atomic
def _approve(proposal: Proposal, user: Any, note: str, seen: str, pack: Pack | None) -> Rule | None:
    proposal = _locked(proposal)
    if _is_in_force(proposal):
        return proposal.rule
    _require_open(proposal)
    _require_four_eyes(proposal, user)
    _require_policy(proposal)
    bond = binding.require_current(proposal, seen)
    _require_harmless(proposal, pack)
    people.say_yes(proposal, user, note, bond)
    missing = people.missing(proposal, bond)
    if missing:
        audit.record(user.username, "agree", "proposal", proposal.pk, content_hash=proposal.content_hash, why=note or f"{missing} to go")
        return None
    rule = activation.activate(proposal, pack, by=user)
    _decide(proposal, Proposal.State.APPROVED, user, note)
    activation.supersede_siblings(proposal, user)
    evidence.note_approval(proposal, user.username)
    audit.record(user.username, "approve", "proposal", proposal.pk, content_hash=rule.content_hash, why=note)
    notify("rules")
    order_for_cause(rule, asked_by=user.username)
    return rule


class Bulk(Struct, frozen=True):
    """What became of many decisions: rules, and for each refusal the sentence and why."""

    rules: list[Rule]
    waiting: int
    refused: list[tuple[str, str]]


def approve_many(chosen: Iterable[tuple[Any, str]], user: Any, note: str = "") -> Bulk:
    """Says yes to several proposals (id and bond of each), one transaction each. Only exact and likely ones: what loses or makes up
    something, or is hardly more than an idea, is looked at alone."""
    permits.require(user, permits.DECIDE)
    made, waiting, refused = list[Rule](), 0, list[tuple[str, str]]()
    for pk, seen in chosen:
        proposal = _of_id(pk)
        try:
            rule = approve(_plain(proposal), user, note, seen)
        except Refused as error:
            refused.append((str(proposal or pk), error.message))
        else:
            made, waiting = ([*made, rule], waiting) if rule is not None else (made, waiting + 1)
    return Bulk(made, waiting, refused)


@transaction.atomic
def reject(proposal: Proposal, user: Any, why: str) -> None:
    """Says no for good: the same fix is not proposed again for this cause."""
    permits.require(user, permits.DECIDE)
    why = permits.require_reason(why)
    proposal = _locked(proposal)
    if proposal.state == Proposal.State.REJECTED:
        return
    _require_open(proposal)
    _decide(proposal, Proposal.State.REJECTED, user, why)
    rules.take_back(proposal, f"rejected by {user.username}")
    evidence.note_rejection(proposal, user.username)
    audit.record(user.username, "reject", "proposal", proposal.pk, content_hash=proposal.content_hash, why=why)
    if proposal.rule is not None and proposal.rule.state in rules.LIVE:
        rules.set_aside(proposal.rule, user.username, why)


@transaction.atomic
def edit(proposal: Proposal, fix: list[dict[str, Any]], user: Any) -> Proposal:
    """Proposes another fix for the same cause, written by a person; the one it came from is superseded, and nobody's yes to that one
    counts for this one."""
    permits.require(user, permits.DECIDE)
    proposal = _locked(proposal)
    _require_open(proposal)
    written = write(proposal.schema, proposal.table, proposal.signature, fix, user)
    if written.pk != proposal.pk:
        _decide(proposal, Proposal.State.SUPERSEDED, user, f"edited into {written.pk}")
        rules.take_back(proposal, f"edited by {user.username}")
        audit.record(user.username, "edit", "proposal", proposal.pk, content_hash=proposal.content_hash, why=f"into {written.pk}")
    return written


@transaction.atomic
def write(schema: str, table: str, signature: str, fix: list[dict[str, Any]], user: Any) -> Proposal:
    """A fix that a person wrote for a cause, open for approval. The same fix, proposed before and not approved, is opened again."""
    permits.require(user, permits.DECIDE)
    ops, _ = checked(fix, schema, table)
    place: dict[str, Any] = {"schema": schema, "table": table, "signature": signature, "content_hash": content_hash(ops)}
    known = Proposal.objects.select_for_update().filter(**place).first()
    if known is not None and (known.state == Proposal.State.OPEN or _is_in_force(known)):
        return known
    facts = {
        "fix": plain(ops), "probability": 1.0, "source": Source.PERSON, "sentence": sentence(ops), "author": user.username,
        "written_by": user, "state": Proposal.State.OPEN, "decided_by": None, "decided_at": None, "why": "", "snoozed_until": None,
        "evidence": {"for": [f"written by {user.username}"], "against": []},
    }  # fmt: skip
    written, _ = Proposal.objects.update_or_create(**place, defaults=facts)
    audit.record(user.username, "write", "proposal", written.pk, content_hash=written.content_hash, why=written.sentence)
    return written


def _proven(proposal: Proposal) -> Pack | None:
    """The pack, made before anything is locked; None where there is none (then a check below says why)."""
    try:
        return proof.of_proposal(Proposal.objects.get(pk=proposal.pk), AT_APPROVAL)
    except (Refused, Proposal.DoesNotExist):
        return None


def _is_in_force(proposal: Proposal) -> bool:
    return proposal.state == Proposal.State.APPROVED and proposal.rule is not None and proposal.rule.state == Rule.State.ACTIVE


def _locked(proposal: Proposal) -> Proposal:
    """The proposal as it is now, with every proposal of its cause locked, and what waits for it, always in the same order (then rules,
    then the audit)."""
    cause = Proposal.objects.filter(schema=proposal.schema, table=proposal.table, signature=proposal.signature)
    found = next(p for p in cause.select_for_update().order_by("pk") if p.pk == proposal.pk)
    lock_cause(proposal.schema, proposal.table, proposal.signature)
    return found


def _of_id(pk: Any) -> Proposal | None:
    try:
        return Proposal.objects.filter(pk=pk).first()
    except ValidationError:
        return None


def _plain(proposal: Proposal | None) -> Proposal:
    if proposal is None:
        raise NotFound("It is gone.")
    if not is_exact(proposal):
        raise DoesNotFit("It is not exact: something sent would be dropped, changed or made up.", "Approve it alone.")
    if proposal.probability < LIKELY:
        raise DoesNotFit(f"It is right with a probability of {percent(proposal.probability)} only.", "Look at it alone.")
    return proposal


def _require_open(proposal: Proposal) -> None:
    if proposal.state != Proposal.State.OPEN:
        by = f" by {proposal.decided_by.get_username()}" if proposal.decided_by else ""
        raise AlreadyDecided(f"This proposal was {proposal.state} already{by}.", proposal.why or None)


def _require_four_eyes(proposal: Proposal, user: Any) -> None:
    if review_rules.current().four_eyes and people.wrote(proposal, user):
        raise FourEyes(f"{user.username} wrote this fix.")


def _require_policy(proposal: Proposal) -> None:
    level = policy.highest_level(proposal.schema, proposal.table)
    if not policy.allows_rules(level):
        raise PolicyForbids(
            f"Healing of {proposal.schema}.{proposal.table} is {level.value!r}: approved rules are not used there.",
            f"Change it first: python manage.py set_policy --table {proposal.table} --healing approved",
        )


def _require_harmless(proposal: Proposal, pack: Pack | None) -> None:
    if pack is None:
        checked(proposal.fix, proposal.schema, proposal.table)  # says why there is none
        raise Stale("Nothing was decided: the proposal changed while it was looked at.")
    if pack.content_hash != content_hash(parsed(proposal.fix)):
        raise Stale("Nothing was decided: the fix changed while it was looked at.")
    if pack.felt.touched:
        raise TouchesHealthy(
            f"It would change {pack.felt.touched} of {pack.felt.requests} healthy writes of the last {pack.days} days"
            f" ({'; '.join(pack.felt.where[:2])})."
        )


def _decide(proposal: Proposal, state: str, user: Any, why: str) -> None:
    proposal.state, proposal.decided_by, proposal.decided_at, proposal.why = state, user, timezone.now(), why
    proposal.save(update_fields=["state", "decided_by", "decided_at", "why", "rule"])
