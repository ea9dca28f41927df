"""A proposal becomes an active rule, in the transaction of whoever decided that: a person (``approval``), or evidence
(``certification``)."""

from __future__ import annotations

from typing import Any

import msgspec
from django.db.models import Q
from django.utils import timezone

from healing import audit, proof
from healing.checked_fix import checked, content_hash, plain, sentence
from healing.core import fixes
from healing.models import Proposal, Rule
from healing.proof import Pack
from schema_monitor.core.snapshot import Relation

ITSELF = "certification"
"""Who decides where evidence does."""


def activate(proposal: Proposal, pack: Pack | None, by: Any = None) -> Rule:
    """The active rule, in place of an older one for the same misfits. ``by`` None: by evidence. The proposal is not saved."""
    ops, relation = checked(proposal.fix, proposal.schema, proposal.table)
    if proposal.fix != plain(ops):
        proposal.fix = plain(ops)  # spelled as the rule spells it: the database compares them
        proposal.save(update_fields=["fix"])
    rule = proposal.rule or Rule(source=proposal.source, author=proposal.author)
    place = {"schema": proposal.schema, "table": proposal.table, "operation": rule.operation, "signature": proposal.signature}
    _end_older(rule, place, by.username if by else ITSELF)
    for name, value in place.items():
        setattr(rule, name, value)
    _fill_in(rule, ops, relation)
    rule.sentence, rule.state, rule.why = proposal.sentence or sentence(ops), Rule.State.ACTIVE, ""
    rule.proof = proof.as_json(pack) if pack else {}
    rule.reversals_known = rule.reversals
    rule.approved_by, rule.approved_at, rule.certified_at = by, timezone.now(), None if by else timezone.now()
    rule.save()
    rule.doubts.all().delete()  # whoever decided has seen them
    proposal.rule = rule
    return rule


def supersede_siblings(proposal: Proposal, by: Any = None) -> None:
    """Other ideas for the same cause are no longer asked about."""
    siblings = Proposal.objects.filter(schema=proposal.schema, table=proposal.table, signature=proposal.signature)
    siblings.filter(state=Proposal.State.OPEN).exclude(pk=proposal.pk).update(
        state=Proposal.State.SUPERSEDED, decided_by=by, decided_at=timezone.now(), why=superseded_by(proposal)
    )


def superseded_by(proposal: Proposal) -> str:
    """What a sibling says; by it an undo finds it again."""
    return f"another fix was approved: {proposal.sentence}"


def replaced_by(rule: Rule) -> str:
    """What the rule says that this one ended; by it an undo finds it again."""
    return f"replaced by {rule.pk}"


def _end_older(rule: Rule, place: dict[str, str], who: str) -> None:
    for older in Rule.objects.select_for_update().filter(~Q(pk=rule.pk), state=Rule.State.ACTIVE, **place):
        older.state, older.why = Rule.State.RETIRED, replaced_by(rule)
        older.save(update_fields=["state", "why"])
        audit.record(who, "retire", "rule", older.pk, content_hash=older.content_hash, why=older.why)


def _fill_in(rule: Rule, ops: tuple[fixes.Fix, ...], relation: Relation) -> None:
    """The fix, and what its names mean today: the relation and the columns that it is bound to."""
    rule.fix, rule.content_hash, rule.relation_fingerprint = plain(ops), content_hash(ops), relation.fingerprint
    columns = fixes.bound_columns(ops, relation)
    was = {name: msgspec.to_builtins(relation.column(name)) for name in columns}
    rule.bound = {"oid": relation.oid, "columns": columns, "was": was}
