"""The live schema as the control plane knows it: the newest captured version."""

from __future__ import annotations

from healing.refusals import DoesNotFit
from schema_monitor import versions
from schema_monitor.core.snapshot import Relation, Snapshot


def latest_snapshot() -> tuple[int, Snapshot]:
    """Epoch and catalog of the newest version; ``DoesNotFit`` where none was captured yet."""
    found = versions.latest()
    if found is None:
        raise DoesNotFit("No schema version has been captured yet.", "Run: python manage.py capture_schema")
    return found[0], found[1]


def find_relation(snapshot: Snapshot, schema: str, table: str) -> Relation | None:
    """The live relation of that name."""
    for relation in snapshot.relations.values():
        if relation.schema == schema and relation.name == table:
            return relation
    return None
