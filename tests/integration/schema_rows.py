"""A schema with a past in the control database: versions, their changes by the real diff, and what followed."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import msgspec
from django.utils import timezone
from msgspec.structs import replace

from schema_monitor.core.diff import diff, summary
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Column, Relation, Scope, Snapshot
from schema_monitor.models import SchemaChange, SchemaVersion
from tests.integration.control_rows import USERS

BEFORE = replace(
    USERS,
    fingerprint="f0",
    columns=(*USERS.columns[:1], Column(2, "email", "text", "text"), USERS.columns[2], Column(4, "nick", "text", "text")),
)
RENAMED = replace(BEFORE, fingerprint="f1", columns=(BEFORE.columns[0], Column(2, "email_address", "text", "text"), *BEFORE.columns[2:]))
DROPPED = replace(RENAMED, fingerprint="f2", columns=RENAMED.columns[:3])
MOVED = replace(DROPPED, fingerprint="f3", name="people")
STEPS = (BEFORE, RENAMED, DROPPED, MOVED)


def evolve(*steps: Relation, every: timedelta = timedelta(hours=1), ago: timedelta | None = None, **who: Any) -> list[SchemaVersion]:
    """A version for each state of one table; the last one ``ago`` (default: now)."""
    steps = steps or STEPS
    last = timezone.now() - (ago or timedelta(minutes=5))
    made: list[SchemaVersion] = []
    old, lineage = None, None
    for n, step in enumerate(steps):
        new = Snapshot(Scope("1", 1), 180000, {step.oid: step}, {}, {}, fingerprint=step.fingerprint)
        lineage = Lineage.start(new) if old is None or lineage is None else lineage.advance(old, new)
        changes = () if old is None else diff(old, new)
        made.append(_store(n + 1, new, lineage, changes, last - every * (len(steps) - 1 - n), who))
        old = new
    return made


def _store(epoch: int, snapshot: Snapshot, lineage: Lineage, changes: Any, at: Any, who: dict[str, Any]) -> SchemaVersion:
    plain: Callable[[Any], Any] = lambda value: msgspec.to_builtins(value, str_keys=True)  # noqa: E731
    facts = {"scope": plain(snapshot.scope), "fingerprint": snapshot.fingerprint, "snapshot": plain(snapshot), "lineage": plain(lineage)}
    version = SchemaVersion.objects.create(epoch=epoch, summary=summary(changes) if changes else "First look: 1 tables and views.", **facts)
    SchemaVersion.objects.filter(pk=version.pk).update(taken_at=at)
    for change in changes:
        SchemaChange.objects.create(version=version, **msgspec.structs.asdict(change), **who)
    version.refresh_from_db()
    return version
