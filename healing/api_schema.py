"""``/api/v1/schema``: what the target's schema was and how it changed. Readable by every caller with a key."""

from __future__ import annotations

from typing import Annotated, Any

from django.http import HttpRequest
from ninja import Field, Router

from healing.api_shapes import ChangeOut, Error, VersionOut
from schema_monitor.models import SchemaChange, SchemaVersion

router = Router(tags=["Schema"])
ERRORS = {401: Error, 403: Error, 422: Error, 500: Error, 503: Error}
_MOST = 9_000_000_000_000_000_000


@router.get("/versions", response={200: list[VersionOut], **ERRORS}, summary="Schema versions, newest first")
def versions(request: HttpRequest, limit: Annotated[int, Field(ge=1, le=500)] = 50) -> Any:
    """Epochs have no gaps."""
    return list(SchemaVersion.objects.defer("snapshot", "lineage").order_by("-epoch")[:limit])


@router.get("/changes", response={200: list[ChangeOut], **ERRORS}, summary="Changes after a version", by_alias=True)
def changes(
    request: HttpRequest, since: Annotated[int, Field(ge=0, le=_MOST)] = 0, limit: Annotated[int, Field(ge=1, le=5000)] = 500
) -> Any:
    """Oldest first; ``since`` is the last epoch that the caller knows."""
    rows = SchemaChange.objects.filter(version__epoch__gt=since).order_by("version__epoch", "pk")
    names = ("kind", "severity", "relation", "object", "sentence", "breaks_old_writers", "breaks_old_readers", "inferred")
    return [{"epoch": epoch, "schema_": c.schema, **{n: getattr(c, n) for n in names}} for c, epoch in _with_epoch(rows[:limit])]


def _with_epoch(rows: Any) -> list[tuple[SchemaChange, int]]:
    return [(row, row.version.epoch) for row in rows.select_related("version").defer("version__snapshot", "version__lineage")]
