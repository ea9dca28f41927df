"""What a new schema version means for what people decided: rules whose names moved go back to review, policies follow renames.

Runs in the transaction that stores the version, so no process ever sees the new schema with the old decisions.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models.signals import post_save

from healing import audit
from healing.core.types import Rule as CoreRule
from healing.models import Policy, Proposal, Rule
from healing.notify import notify
from schema_monitor import versions
from schema_monitor.core.lineage import Lineage, Renamed
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.models import SchemaVersion

WHO = "schema monitor"


def connect() -> None:
    """Listens for new versions."""
    post_save.connect(_on_version, sender=SchemaVersion, dispatch_uid="healing.schema_changed")


@transaction.atomic
def _on_version(sender: Any, instance: SchemaVersion, created: bool, **_: Any) -> None:
    if not created:
        return
    rules = list(Rule.objects.select_for_update().filter(state=Rule.State.ACTIVE).exclude(bound={}))
    policies = list(Policy.objects.select_for_update().exclude(table=""))
    if not (rules or policies):
        return
    snapshot, lineage = versions.of(instance)
    review_unbound(rules, snapshot)
    follow_renames(policies, snapshot, lineage)


def review_unbound(rules: list[Rule], snapshot: Snapshot) -> None:
    """A rule was approved for certain columns of a certain table. Where its names mean others now, a person looks again."""
    moved = [rule for rule in rules if not _binds(rule, snapshot)]
    for rule in moved:
        rule.state, rule.why = Rule.State.REVIEW, "The table or a column it names was renamed, replaced or removed since it was approved."
        rule.save(update_fields=["state", "why"])
        Proposal.objects.filter(rule=rule, state=Proposal.State.APPROVED).update(state=Proposal.State.OPEN)
        audit.record(WHO, "review", "rule", rule.pk, content_hash=rule.content_hash, why=rule.why)
    if moved:
        notify("rules")


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


def _binds(rule: Rule, snapshot: Snapshot) -> bool:
    bound = rule.bound
    relation = snapshot.relations.get(bound.get("oid", 0))
    if relation is None:
        return False
    return CoreRule("", "", "", "", "", (), oid=bound["oid"], columns=bound.get("columns", {})).binds(relation)
