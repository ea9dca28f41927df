"""What a new schema version means for what people decided: rules whose names moved go back to review, policies follow renames.

Runs in the transaction that stores the version, so no process ever sees the new schema with the old decisions.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.db import transaction
from django.db.models.signals import post_save

from healing import review_rules
from healing.core import fixes
from healing.core.signature import read, split
from healing.core.types import Kind
from healing.core.types import Rule as CoreRule
from healing.models import Policy, Proposal, Rule
from healing.notify import notify
from healing.rules import back_to_review
from schema_monitor import versions
from schema_monitor.core.lineage import Lineage, Renamed
from schema_monitor.core.snapshot import Column, Snapshot
from schema_monitor.core.widening import widens
from schema_monitor.models import SchemaVersion

WHO = "schema monitor"


def connect() -> None:
    """Listens for new versions."""
    post_save.connect(_on_version, sender=SchemaVersion, dispatch_uid="healing.schema_changed")


@transaction.atomic
def _on_version(sender: Any, instance: SchemaVersion, created: bool, **_: Any) -> None:
    if not created:
        return
    live = Rule.objects.filter(state=Rule.State.ACTIVE).exclude(bound={})
    list(Proposal.objects.select_for_update().filter(rule__in=live).order_by("pk").values_list("pk"))  # first, as everybody does
    rules = list(live.select_for_update().order_by("pk"))
    policies = list(Policy.objects.select_for_update().exclude(table=""))
    if not (rules or policies):
        return
    snapshot, lineage = versions.of(instance)
    review_unbound(rules, snapshot)
    follow_renames(policies, snapshot, lineage)


def review_unbound(rules: list[Rule], snapshot: Snapshot) -> None:
    """A rule was approved for certain columns of a certain table. Where its names mean others now, or the column that it writes to takes
    other values, a person looks again. What else changes in the table is none of its business."""
    whole = review_rules.current().whole_relation
    for rule in rules:
        if why := why_review(rule, snapshot) or (_any_change(rule, snapshot) if whole else ""):
            back_to_review(rule, WHO, why)


def follow_renames(policies: list[Policy], snapshot: Snapshot, lineage: Lineage) -> None:
    """A policy is about a table, not about its name."""
    followed = False
    for policy in policies:
        schemas = [policy.schema] if policy.schema else list(snapshot.exposed)
        for schema in schemas:
            if snapshot.named(schema, policy.table):
                continue
            match lineage.resolve_relation(snapshot, schema, policy.table):
                case Renamed(relation):
                    policy.schema, policy.table = relation.schema if policy.schema else "", relation.name
                    policy.save(update_fields=["schema", "table"])
                    followed = True
    if followed:
        notify("policies")


def why_review(rule: Rule, snapshot: Snapshot) -> str:
    """Why the rule must be looked at again under this schema; '' where it need not."""
    relation = snapshot.relations.get(rule.bound.get("oid", 0))
    if relation is None or not _core(rule).binds(relation):
        return "The table or a column it names was renamed, replaced or removed since it was approved."
    for name, was in rule.bound.get("was", {}).items():
        before, now = msgspec.convert(was, Column), relation.column(name)
        if now is not None and not widens(before, now):
            return f"Column {name} was {before.type} when it was approved and is {now.type} now."
    try:
        ops = [op for op in fixes.parse(rule.fix) if not isinstance(op, fixes.RenameTable)]  # a table is followed by its oid
        faults = fixes.typecheck(ops, relation, snapshot)
    except fixes.FixError as error:
        faults = [str(error)]
    if faults:
        return f"It does not fit the schema any more: {'; '.join(faults)}."
    taken = [name for name in _unknown_names(rule) if relation.column(name) is not None]
    return f"Column {taken[0]} is there now; the rule was for writes that name it in vain." if taken else ""


def _any_change(rule: Rule, snapshot: Snapshot) -> str:
    """Where the target asks for it (``ReviewRules.whole_relation``): the table is not just as it was."""
    relation = snapshot.relations.get(rule.bound.get("oid", 0))
    same = relation is not None and relation.fingerprint == rule.relation_fingerprint
    return "" if same else "Its table changed since it was approved."


def _unknown_names(rule: Rule) -> list[str]:
    return [name for kind, name in map(read, split(rule.signature)) if kind == Kind.UNKNOWN_COLUMN and name]


def _core(rule: Rule) -> CoreRule:
    return CoreRule("", "", "", "", "", (), oid=rule.bound["oid"], columns=rule.bound.get("columns", {}))
