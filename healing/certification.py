"""Rules by themselves: where a table's policy asks for it, an exact fix with strong evidence becomes a rule without a click.

Two ways in, both only where nothing speaks against it (``why_not``), no person wrote it, and nothing healed by it was ever taken back:

    exact kinds   the value says what it means by itself: an exact reading of another spelling, a split of a ragged batch
    by evidence   the same fix landed often enough while it was no rule yet: born of an AI, Wilson's lower bound of its success rate is
                  above .95 (73 of 73); else that of its Beta posterior (58 of 58)

One reversal ends such a rule (``rules.count_reversal``), and the same fix is never certified for that table again.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Any

from django.db import transaction
from django.db.models import Q, QuerySet
from django.db.models.signals import post_delete, post_save
from django.utils import timezone
from msgspec import Struct

from healing import activation, audit, policy, proof
from healing.activation import ITSELF
from healing.binding import bond_of
from healing.checked_fix import parsed
from healing.core import fixes
from healing.core.assist import gates
from healing.core.confidence import lower_bound
from healing.core.values import json_text
from healing.gateway.seal import SealError
from healing.models import Policy, Proposal, Receipt, Rule, Source
from healing.notify import notify
from healing.proof import Bounds, Pack
from healing.receipt_copies import rules_of
from healing.refusals import Refused
from healing.replay_orders import lock_cause, order_for_cause
from healing.rules import back_to_review, lock_proposals
from healing.sealed_rows import open_json
from healing.stored_cases import ops_of
from metrics.core.evidence import wilson

log = logging.getLogger(__name__)
BOUND = 0.95
BOUNDS = Bounds(20_000, 10.0)
MOST_RECEIPTS = 2_000
_SPELLINGS = (fixes.Cast, fixes.SplitBatch)


class Standing(Struct, frozen=True):
    """What the evidence says. ``bound``: of the success rate; ``how``: which bound, or "exact kind"."""

    landed: int
    reversed: int
    bound: float
    how: str

    @property
    def passes(self) -> bool:
        """Enough to need no person."""
        return self.how == "exact kind" or self.bound > BOUND


def connect() -> None:
    """A policy that no longer asks for rules by themselves sends those that came so back to people."""
    post_save.connect(_on_policy, sender=Policy, dispatch_uid="healing.certification.saved")
    post_delete.connect(_on_policy, sender=Policy, dispatch_uid="healing.certification.deleted")


def certify_due() -> int:
    """Looks at what is open in every table that asked for it. Returns how many became rules."""
    made = 0
    for place in Policy.objects.filter(auto_certify=True, key=None).exclude(table=""):
        where = Q(table=place.table) & (Q(schema=place.schema) if place.schema else Q())
        for proposal in Proposal.objects.filter(where, state=Proposal.State.OPEN).order_by("-probability", "created_at"):
            made += _safely(proposal)
    return made


def certify(proposal: Proposal) -> Rule | None:
    """The active rule, where nothing speaks against it; else None. Looks at everything first, then decides in one transaction."""
    if why_not(proposal):
        return None
    bond, standing = bond_of(proposal), standing_of(proposal)
    if not standing.passes:
        return None
    pack = proof.of_proposal(proposal, BOUNDS)
    if against(pack):
        return None
    with transaction.atomic():
        cause = Proposal.objects.filter(schema=proposal.schema, table=proposal.table, signature=proposal.signature)
        locked = next((p for p in cause.select_for_update().order_by("pk") if p.pk == proposal.pk), None)
        lock_cause(proposal.schema, proposal.table, proposal.signature)
        if locked is None or locked.state != Proposal.State.OPEN or bond_of(locked) != bond or why_not(locked):
            return None
        return _make(locked, pack, standing)


def standing_of(proposal: Proposal) -> Standing:
    """How often the very fix landed on that table by other hands than a rule's, and how often that was taken back. A write that was sent
    again and again is one case."""
    ops = parsed(proposal.fix)
    cases, bad = set[bytes](), 0
    for receipt in _receipts(proposal):
        if set(ops) <= set(ops_of(receipt.fixes)) and not rules_of(receipt):
            wrong = receipt.outcome == Receipt.Outcome.UNDONE or bool((receipt.feedback or {}).get("ever_wrong"))
            bad += wrong
            cases |= set() if wrong else {_case(receipt)}
    good = len(cases)
    if all(isinstance(op, _SPELLINGS) for op in ops):
        return Standing(good, bad, lower_bound(good, bad), "exact kind")
    if proposal.source == Source.AI:
        return Standing(good, bad, wilson(good, good + bad)[0], "Wilson")
    return Standing(good, bad, lower_bound(good, bad), "Beta")


def why_not(proposal: Proposal) -> list[str]:
    """What keeps it for a person, whatever the evidence; empty = nothing."""
    ops = parsed(proposal.fix)
    found = [] if asked_for(proposal.schema, proposal.table) else ["no policy of this table asks for rules by themselves"]
    found += [] if policy.allows_rules(policy.highest_level(proposal.schema, proposal.table)) else ["its policy uses no rules"]
    found += [f"{op_name} is not exact" for op, op_name in zip(ops, _names(ops), strict=True) if not fixes.is_exact(op)]
    found += gates.of_rights(ops)
    place = {"schema": proposal.schema, "table": proposal.table, "content_hash": proposal.content_hash}
    if Proposal.objects.filter(**place, state=Proposal.State.REJECTED).exists():
        found.append("a person rejected the same fix for this table")
    if Rule.objects.filter(**place).filter(Q(reversals__gt=0) | Q(state__in=["demoted", "rejected", "retired", "review"])).exists():
        found.append("a rule with the same fix was ended, or something that it healed was taken back")
    if _same(proposal).filter(Q(outcome=Receipt.Outcome.UNDONE) | Q(feedback__ever_wrong=True)).exists():
        found.append("a write that landed with it was taken back, or called wrong")
    if proposal.source == Source.PERSON:
        found.append("a person wrote it: then people say yes")
    active = Rule.objects.filter(schema=proposal.schema, table=proposal.table, signature=proposal.signature, state=Rule.State.ACTIVE)
    return found + (["another rule is active for it"] if active.exists() else [])


def against(pack: Pack) -> list[str]:
    """What the proof pack has against it: for a person one look more, here the end."""
    found = list(pack.broken)
    found += [f"no made-up row shows that it is {p.name}" for p in pack.properties if p.promised and not p.runs]
    if pack.felt.perhaps:
        found.append(f"it may change {pack.felt.perhaps} healthy writes")
    if pack.replayed.cases < pack.stored or pack.replayed.against:
        found.append(f"it heals {pack.replayed.healed} of {pack.stored} kept writes")
    return found


def asked_for(schema: str, table: str) -> bool:
    """Whether a policy of that table asks for rules by themselves."""
    return Policy.objects.filter(auto_certify=True, key=None, table=table, schema__in=["", schema]).exclude(table="").exists()


def _make(proposal: Proposal, pack: Pack, standing: Standing) -> Rule:
    rule = activation.activate(proposal, pack)
    why = f"{standing.how}: {standing.landed} landed, {standing.reversed} taken back" + (
        "" if standing.how == "exact kind" else f", right in at least {standing.bound:.1%}"
    )
    proposal.state, proposal.decided_by, proposal.decided_at, proposal.why = Proposal.State.APPROVED, None, timezone.now(), why
    proposal.save(update_fields=["state", "decided_by", "decided_at", "why", "rule"])
    activation.supersede_siblings(proposal)
    audit.record(ITSELF, "certify", "rule", rule.pk, content_hash=rule.content_hash, why=why)
    notify("rules")
    order_for_cause(rule, asked_by=ITSELF)
    return rule


def _on_policy(sender: Any, instance: Policy, **_: Any) -> None:
    by_themselves = Rule.objects.filter(state=Rule.State.ACTIVE, certified_at__isnull=False, approved_by=None)
    ended = [rule for rule in by_themselves.order_by("pk") if not asked_for(rule.schema, rule.table)]
    with transaction.atomic():
        lock_proposals([rule.pk for rule in ended])
        for rule in ended:
            back_to_review(rule, ITSELF, "its table's policy no longer asks for rules by themselves")


def _same(proposal: Proposal) -> QuerySet[Receipt]:
    """Receipts of that table which name the fix."""
    return Receipt.objects.filter(schema=proposal.schema, table=proposal.table, fixes__contains=proposal.fix)


def _receipts(proposal: Proposal) -> list[Receipt]:
    ended = [Receipt.Outcome.COMMITTED, Receipt.Outcome.REPLAYED, Receipt.Outcome.UNDONE]
    rows = _same(proposal).filter(outcome__in=ended)
    return list(rows.only("fixes", "outcome", "feedback", "sealed").order_by("-at")[:MOST_RECEIPTS])


def _case(receipt: Receipt) -> bytes:
    """What was sent, as a digest. What cannot be opened cannot be told from another such: all of it is one case."""
    try:
        sent = open_json(receipt.sealed).get("sent")
    except (SealError, AttributeError):
        return b""
    return hashlib.sha256(json_text(sent).encode()).digest()


def _names(ops: tuple[fixes.Fix, ...]) -> list[str]:
    return [str(op["op"]) for op in fixes.dump(ops)]


def _safely(proposal: Proposal) -> bool:
    """One that does not fit, or a fault of ours, keeps no other from being looked at."""
    try:
        return certify(proposal) is not None
    except Refused:
        return False
    except Exception:
        log.exception("proposal %s could not be judged", proposal.pk)
        return False
