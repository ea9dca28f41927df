"""The live schema as the control plane knows it: the newest captured version."""

from __future__ import annotations

from functools import lru_cache

from healing.refusals import DoesNotFit
from schema_monitor import versions
from schema_monitor.core.snapshot import Relation, Snapshot
from schema_monitor.models import SchemaVersion
from schema_monitor.store import Version


def latest() -> Version:
    """Epoch, catalog and lineage of the newest version; ``DoesNotFit`` where none was captured yet. Read once, as long as it is the
    newest: a page asks for it once a card."""
    newest = SchemaVersion.objects.order_by("-epoch").values_list("epoch", "pk", "taken_at").first()
    found = _read(*newest) if newest else None
    if found is None:
        raise DoesNotFit("No schema version has been captured yet.", "Run: python manage.py capture_schema")
    return found


@lru_cache(maxsize=1)
def _read(epoch: int, *identity: object) -> Version | None:
    return versions.at(epoch)


def latest_snapshot() -> tuple[int, Snapshot]:
    """Epoch and catalog of the newest version; ``DoesNotFit`` where none was captured yet."""
    epoch, snapshot, _ = latest()
    return epoch, snapshot


def find_relation(snapshot: Snapshot, schema: str, table: str) -> Relation | None:
    """The live relation of that name."""
    for relation in snapshot.relations.values():
        if relation.schema == schema and relation.name == table:
            return relation
    return None
