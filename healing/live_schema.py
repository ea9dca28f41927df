"""The live schema as the control plane knows it: the newest captured version."""

from __future__ import annotations

import msgspec

from healing.refusals import DoesNotFit
from schema_monitor.core.snapshot import Relation, Snapshot
from schema_monitor.models import SchemaVersion


def latest_snapshot() -> tuple[int, Snapshot]:
    """Epoch and catalog of the newest version; ``DoesNotFit`` where none was captured yet."""
    version = SchemaVersion.objects.order_by("-epoch").only("epoch", "snapshot").first()
    if version is None:
        raise DoesNotFit("No schema version has been captured yet.", "Run: python manage.py capture_schema")
    return version.epoch, msgspec.convert(version.snapshot, Snapshot, str_keys=True)


def find_relation(snapshot: Snapshot, schema: str, table: str) -> Relation | None:
    """The live relation of that name."""
    for relation in snapshot.relations.values():
        if relation.schema == schema and relation.name == table:
            return relation
    return None
