"""Versions of the schema as values."""

from __future__ import annotations

import msgspec
from django.db.models import QuerySet

from healing.refusals import NotFound
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.models import SchemaVersion


def light() -> QuerySet[SchemaVersion]:
    """Versions without what may be large."""
    return SchemaVersion.objects.defer("snapshot", "lineage")


def snapshot_at(epoch: int) -> Snapshot:
    """The catalog of that version; ``NotFound`` where there is none."""
    row = SchemaVersion.objects.filter(epoch=epoch).values_list("snapshot", flat=True).first()
    if row is None:
        raise NotFound(f"There is no schema version {epoch}.")
    return msgspec.convert(row, Snapshot, str_keys=True)


def newest() -> tuple[int, Snapshot, Lineage] | None:
    """Epoch, catalog and lineage of the newest version; None before the first capture."""
    row = SchemaVersion.objects.order_by("-epoch").values_list("epoch", "snapshot", "lineage").first()
    if row is None:
        return None
    return row[0], msgspec.convert(row[1], Snapshot, str_keys=True), msgspec.convert(row[2], Lineage, str_keys=True)
