"""Decisions about proposals: the only way by which a fix becomes an active rule.

Each function owns its transaction: the decision, its audit row, the notification and the replay order stand or fall together.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from healing import audit, permits, policy
from healing.checked_fix import checked, content_hash, plain, sentence
from healing.core import fixes
from healing.models import Proposal, Rule, Source
from healing.notify import notify
from healing.refusals import AlreadyDecided, FourEyes, PolicyForbids
from healing.replay_orders import order_for_cause


@transaction.atomic
def approve(proposal: Proposal, user: Any, note: str = "") -> Rule:
    """Makes the fix an active rule and orders the replay of the writes that wait for it.

    1. the person may decide, and did not write the fix alone where four eyes are asked for
    2. everything about this cause is locked: a second approver waits, then finds the same rule
    3. the policy of the table uses rules, and the fix fits the live schema
    4. the rule becomes active in place of an older one; sibling proposals are superseded
    """
    permits.require(user, permits.DECIDE)
    proposal = _locked(proposal)
    if proposal.state == Proposal.State.APPROVED and proposal.rule is not None:
        return proposal.rule
    _require_open(proposal)
    _require_four_eyes(proposal, user)
    _require_policy(proposal)
    rule = _activate(proposal, user)
    _decide(proposal, Proposal.State.APPROVED, user, note)
    _supersede_siblings(proposal, user)
    audit.record(user.username, "approve", "proposal", proposal.pk, content_hash=rule.content_hash, why=note)
    notify("rules")
    order_for_cause(rule, asked_by=user.username)
    return rule


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
    audit.record(user.username, "reject", "proposal", proposal.pk, content_hash=proposal.content_hash, why=why)


@transaction.atomic
def edit(proposal: Proposal, fix: list[dict[str, Any]], user: Any) -> Proposal:
    """Proposes another fix for the same cause, written by a person; the one it came from is superseded."""
    permits.require(user, permits.DECIDE)
    proposal = _locked(proposal)
    _require_open(proposal)
    written = write(proposal.schema, proposal.table, proposal.signature, fix, user)
    if written.pk != proposal.pk:
        _decide(proposal, Proposal.State.SUPERSEDED, user, f"edited into {written.pk}")
    return written


@transaction.atomic
def write(schema: str, table: str, signature: str, fix: list[dict[str, Any]], user: Any) -> Proposal:
    """A fix that a person wrote for a cause, open for approval. The same fix, proposed before and not approved, is opened again."""
    permits.require(user, permits.DECIDE)
    ops, _ = checked(fix, schema, table)
    place: dict[str, Any] = {"schema": schema, "table": table, "signature": signature, "content_hash": content_hash(ops)}
    known = Proposal.objects.select_for_update().filter(**place).first()
    if known is not None and known.state in (Proposal.State.OPEN, Proposal.State.APPROVED):
        return known
    facts = {
        "fix": plain(ops), "probability": 1.0, "source": Source.PERSON, "sentence": sentence(ops), "author": user.username,
        "state": Proposal.State.OPEN, "decided_by": None, "decided_at": None, "why": "",
        "evidence": {"for": [f"written by {user.username}"], "against": []},
    }  # fmt: skip
    written, _ = Proposal.objects.update_or_create(**place, defaults=facts)
    audit.record(user.username, "write", "proposal", written.pk, content_hash=written.content_hash, why=written.sentence)
    return written


def _locked(proposal: Proposal) -> Proposal:
    """The proposal as it is now, with every proposal of its cause locked, always in the same order."""
    cause = Proposal.objects.filter(schema=proposal.schema, table=proposal.table, signature=proposal.signature)
    return next(p for p in cause.select_for_update().order_by("pk") if p.pk == proposal.pk)


def _require_open(proposal: Proposal) -> None:
    if proposal.state != Proposal.State.OPEN:
        by = f" by {proposal.decided_by.get_username()}" if proposal.decided_by else ""
        raise AlreadyDecided(f"This proposal was {proposal.state} already{by}.", proposal.why or None)


def _require_four_eyes(proposal: Proposal, user: Any) -> None:
    if getattr(settings, "FOUR_EYES", False) and proposal.author == user.username:
        raise FourEyes(f"{user.username} wrote this fix.")


def _require_policy(proposal: Proposal) -> None:
    level = policy.highest_level(proposal.schema, proposal.table)
    if not policy.allows_rules(level):
        raise PolicyForbids(
            f"Healing of {proposal.schema}.{proposal.table} is {level.value!r}: approved rules are not used there.",
            f"Change it first: python manage.py set_policy --table {proposal.table} --healing approved",
        )


def _activate(proposal: Proposal, user: Any) -> Rule:
    ops, relation = checked(proposal.fix, proposal.schema, proposal.table)
    rule = proposal.rule or Rule(source=proposal.source, author=proposal.author)
    place = {"schema": proposal.schema, "table": proposal.table, "operation": rule.operation, "signature": proposal.signature}
    for older in Rule.objects.select_for_update().filter(state=Rule.State.ACTIVE, **place):
        older.state, older.why = Rule.State.RETIRED, f"replaced by {rule.pk}"
        older.save(update_fields=["state", "why"])
        audit.record(user.username, "retire", "rule", older.pk, content_hash=older.content_hash, why=older.why)
    for name, value in place.items():
        setattr(rule, name, value)
    rule.fix, rule.sentence, rule.content_hash = plain(ops), proposal.sentence or sentence(ops), content_hash(ops)
    rule.relation_fingerprint, rule.state = relation.fingerprint, Rule.State.ACTIVE
    columns = fixes.bound_columns(ops, relation)
    was = {name: msgspec.to_builtins(relation.column(name)) for name in columns}
    rule.bound = {"oid": relation.oid, "columns": columns, "was": was}
    rule.approved_by, rule.approved_at = user, timezone.now()
    rule.save()
    proposal.rule = rule
    return rule


def _supersede_siblings(proposal: Proposal, user: Any) -> None:
    siblings = Proposal.objects.filter(schema=proposal.schema, table=proposal.table, signature=proposal.signature)
    siblings.filter(state=Proposal.State.OPEN).exclude(pk=proposal.pk).update(
        state=Proposal.State.SUPERSEDED, decided_by=user, decided_at=timezone.now(), why=f"another fix was approved: {proposal.sentence}"
    )


def _decide(proposal: Proposal, state: str, user: Any, why: str) -> None:
    proposal.state, proposal.decided_by, proposal.decided_at, proposal.why = state, user, timezone.now(), why
    proposal.save(update_fields=["state", "decided_by", "decided_at", "why", "rule"])
