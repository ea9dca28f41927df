"""When the schema has what a person approved, whoever ran the migration: the decision is closed, and what waited is replayed in order.

Looked at with every new schema version, in the transaction that stores it.
"""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import Q
from django.db.models.signals import post_save
from django.utils import timezone

from healing import audit
from healing.core.ddl import settled
from healing.live_schema import find_relation, latest_snapshot
from healing.models import QuarantineItem
from healing.refusals import Refused
from healing.replay_orders import lock_cause, order_for_schema
from healing.schema_fixes.models import SchemaFix
from healing.sealed_rows import sound_rows
from schema_monitor import versions
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.models import SchemaVersion

WHO = "schema monitor"


def connect() -> None:
    """Listens for new versions."""
    post_save.connect(_on_version, sender=SchemaVersion, dispatch_uid="healing.schema_fixes")


@transaction.atomic
def _on_version(sender: Any, instance: SchemaVersion, created: bool, **_: Any) -> None:
    if not created:
        return
    open_ = Q(state=SchemaFix.State.APPROVED, by_us=False) | Q(state=SchemaFix.State.FAILED)
    waiting = list(SchemaFix.objects.select_for_update().filter(open_))
    if waiting:
        snapshot = versions.of(instance)[0]
        landing = [fix for fix in waiting if has_it(fix, snapshot)]
        for fix in landing:
            lock_cause(fix.schema, fix.table, fix.signature)
        for fix in landing:
            land_under(fix, snapshot)


def land(fix: SchemaFix) -> bool:
    """The same against the newest version. Whether the schema has it."""
    try:
        return land_under(fix, latest_snapshot()[1])
    except Refused:
        return False


@transaction.atomic
def land_under(fix: SchemaFix, snapshot: Snapshot) -> bool:
    """Closes the decision where that schema has it, and orders the replay where nothing else is left to settle."""
    if not has_it(fix, snapshot):
        return False
    fix.state, fix.finished_at, fix.due_at, fix.error = SchemaFix.State.LANDED, timezone.now(), None, None
    if not fix.leaves:
        asked_by = fix.decided_by.get_username() if fix.decided_by else WHO
        fix.replay = order_for_schema(fix.schema, fix.table, fix.signature, asked_by=asked_by, why=f"migration: {fix.sentence}")
    fix.save()
    audit.record(WHO, "land", "migration", fix.pk, content_hash=fix.content_hash, why=fix.sentence)
    return True


def has_it(fix: SchemaFix, snapshot: Snapshot) -> bool:
    """Whether a schema has what the migration brings. One that settles nothing by itself (a dropped NOT NULL for empty texts) is told by
    its columns."""
    relation = find_relation(snapshot, fix.schema, fix.table)
    if fix.settles:
        return settled(" + ".join(fix.settles), relation, snapshot, tuple(_rows(fix)))
    columns = fix.evidence.get("columns") or []
    return (
        bool(columns)
        and relation is not None
        and all((found := relation.column(told["name"])) is not None and found.nullable == told["nullable"] for told in columns)
    )


def _rows(fix: SchemaFix) -> list[dict[str, Any]]:
    """Some of what waits: whether values fit can only be told by looking at them."""
    items = QuarantineItem.objects.filter(schema=fix.schema, table=fix.table, signature=fix.signature, state__in=["waiting", "parked"])
    return [row for item in items[:100] for row in sound_rows(item)]
