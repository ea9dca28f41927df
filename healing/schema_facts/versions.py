"""Versions of the schema as values."""

from __future__ import annotations

from django.db.models import QuerySet

from healing.refusals import NotFound
from schema_monitor import versions
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.models import SchemaVersion
from schema_monitor.store import Version

_LARGE = ("snapshot", "lineage", "delta")


def light() -> QuerySet[SchemaVersion]:
    """Versions without what may be large."""
    return SchemaVersion.objects.defer(*_LARGE)


def snapshot_at(epoch: int) -> Snapshot:
    """The catalog of that version; ``NotFound`` where there is none."""
    found = versions.at(epoch)
    if found is None or found[0] != epoch:
        raise NotFound(f"There is no schema version {epoch}.")
    return found[1]


def newest() -> Version | None:
    """Epoch, catalog and lineage of the newest version; None before the first capture."""
    return versions.latest()
