"""``/api/v1/schema``: what the target's schema was and how it changed. Readable by every caller with a key; who did it, whom it hits,
definitions and whole versions only by service_role (keys of anon are public). Events are served elsewhere (``gateway/events.py``)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import msgspec
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from ninja import Field, Query, Router

from healing.api_caller import caller_of, sees_all
from healing.api_schema_shapes import ChangeOut, DiffOut, VersionDetailOut, VersionOut
from healing.api_shapes import Error
from healing.refusals import NotAllowed, NotFound
from schema_monitor import export
from schema_monitor.core.diff import diff, summary
from schema_monitor.models import SchemaChange, SchemaVersion

router = Router(tags=["Schema"])
ERRORS = {401: Error, 403: Error, 422: Error, 500: Error, 503: Error}
MISSING = {404: Error, **ERRORS}
_MOST = 9_000_000_000_000_000_000
_MOST_DIFFERENCES = 5_000
Epoch = Annotated[int, Field(ge=0, le=_MOST)]
_OPEN = ("kind", "severity", "relation", "object", "sentence", "breaks_old_writers", "breaks_old_readers", "inferred")
_CLOSED = ("old", "new", "hits", "tag", "usr", "app")


@router.get("/versions", response={200: list[VersionOut], **ERRORS}, summary="Schema versions, newest first")
def versions(request: HttpRequest, limit: Annotated[int, Field(ge=1, le=500)] = 50, before: Epoch = _MOST) -> Any:
    """Epochs have no gaps. ``before``: older than that epoch."""
    return list(_light().filter(epoch__lt=before).order_by("-epoch")[:limit])


@router.get("/versions/{epoch}", response={200: VersionDetailOut, **MISSING}, summary="One version and what changed in it", by_alias=True)
def read_version(request: HttpRequest, epoch: Epoch) -> dict[str, Any]:
    """``relations``, ``enums`` and ``functions`` count what it holds."""
    row = _light().filter(epoch=epoch).first()
    if row is None:
        raise _no_version(epoch)
    _, snapshot, _ = export.version(epoch)
    counts = {name: len(getattr(snapshot, name)) for name in ("relations", "enums", "functions")}
    plain = {name: getattr(row, name) for name in ("epoch", "taken_at", "fingerprint", "summary", "cause")}
    return {**plain, **counts, "changes": _shown(SchemaChange.objects.filter(version=row).order_by("pk"), request)}


@router.get("/versions/{epoch}/export", response=MISSING, summary="One version as SQL that rebuilds it, or as JSON")
def read_export(request: HttpRequest, epoch: Epoch, format: Literal["sql", "json"] = "sql") -> HttpResponse:
    """For service_role. The first lines say what the file cannot hold; the newest version holds most."""
    _only_service(request)
    try:
        body, kind = (export.as_sql(epoch).encode(), "application/sql") if format == "sql" else (export.as_json(epoch), "application/json")
    except export.NoSuchVersion:
        raise _no_version(epoch) from None
    answer = HttpResponse(body, content_type=f"{kind}; charset=utf-8")
    answer["Content-Disposition"] = f'attachment; filename="schema-{epoch}.{format}"'
    return answer


@router.get("/diff", response={200: DiffOut, **MISSING}, summary="What changed between any two versions", by_alias=True)
def read_diff(request: HttpRequest, from_: Annotated[Epoch, Query(alias="from")], to: Epoch) -> dict[str, Any]:
    """Backwards too. Renames are told where both versions are of one database."""
    try:
        old, new = export.version(from_), export.version(to)
    except export.NoSuchVersion as error:
        raise _no_version(error.args[0]) from None
    changes = diff(old[1], new[1])
    full = sees_all(caller_of(request))
    shown = [_difference(msgspec.structs.asdict(change), full) for change in changes[:_MOST_DIFFERENCES]]
    return {"from_": from_, "to": to, "summary": summary(changes), "changes": shown}


@router.get("/changes", response={200: list[ChangeOut], **ERRORS}, summary="Changes after a version", by_alias=True)
def changes(request: HttpRequest, since: Epoch = 0, limit: Annotated[int, Field(ge=1, le=5000)] = 500) -> Any:
    """Oldest first; ``since`` is the last epoch that the caller knows. All changes of an epoch come together: ask again with the last
    epoch that came."""
    found = SchemaChange.objects.filter(version__epoch__gt=since).order_by("version__epoch", "pk")
    return _shown(_whole_epochs(found, limit), request)


def _whole_epochs(found: QuerySet[SchemaChange], limit: int) -> Iterable[SchemaChange]:
    """The first changes, at least ``limit`` where there are so many: the last epoch is not cut, or ``since`` would skip its rest."""
    epochs = list(found.values_list("version__epoch", flat=True)[limit - 1 : limit])
    return found.filter(version__epoch__lte=epochs[0]) if epochs else found


def _shown(rows: Any, request: HttpRequest) -> list[dict[str, Any]]:
    full = sees_all(caller_of(request))
    rows = rows.select_related("version").defer("version__snapshot", "version__lineage", "version__delta")
    return [_change(row, full) for row in rows]


def _change(row: SchemaChange, full: bool) -> dict[str, Any]:
    names = (*_OPEN, *_CLOSED) if full else _OPEN
    own = {"epoch": row.version.epoch, "taken_at": row.version.taken_at, "base_severity": row.base_severity or row.severity}
    return {**own, "schema_": row.schema, **{name: getattr(row, name) for name in names}}


def _difference(change: dict[str, Any], full: bool) -> dict[str, Any]:
    closed = {} if full else {"old": None, "new": None}
    return {**change, "schema_": change["schema"], **closed}


def _light() -> QuerySet[SchemaVersion]:
    return SchemaVersion.objects.defer("snapshot", "lineage", "delta")


def _only_service(request: HttpRequest) -> None:
    if not sees_all(caller_of(request)):
        raise NotAllowed("Whole versions are for service_role.", "Use a key of service_role.")


def _no_version(epoch: int) -> NotFound:
    return NotFound(f"There is no schema version {epoch}.", "GET /api/v1/schema/versions lists them.")
