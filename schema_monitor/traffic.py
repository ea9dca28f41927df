"""What callers sent lately and which former names they used, from the control database. Gateways write it
(``healing/gateway/traffic.py``); ``prune`` forgets it."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, TypeVar

import msgspec
from django.db.models import Max, Sum
from django.utils import timezone

from schema_monitor.core.traffic import Known, OldUse, RecentShape
from schema_monitor.traffic_models import OldNameUse, PayloadShape, TrafficRecording

__all__ = ["Known", "OldUse", "RecentShape", "known", "old_names", "prune", "recent_shapes", "traffic_of"]

T = TypeVar("T")
DAYS = 7
_SHAPES_KEPT, _USES_KEPT = timedelta(days=8), timedelta(days=400)
_SHAPE = ("schema", "relation_oid", "name", "operation", "keys", "named", "shape", "role", "key")
_USE = ("schema", "relation_oid", "attnum", "enum_oid", "label_oid", "name", "role", "key")


def recent_shapes(days: int = DAYS, relation_oids: Iterable[int] | None = None) -> list[RecentShape]:
    """All shapes of the last days (of these relations or functions), added up over the hours; the most frequent first."""
    rows = PayloadShape.objects.filter(hour__gt=timezone.now() - timedelta(days=days, hours=1)).order_by()
    if relation_oids is not None:
        rows = rows.filter(relation_oid__in=list(relation_oids))
    totals = {name: Sum(name) for name in ("requests", "rows", "misfits", "healed")}
    found = rows.values(*_SHAPE).annotate(**totals, caller=Max("caller"), last_at=Max("last_at"))
    return [_read(row, RecentShape) for row in found.order_by("-requests")]


def traffic_of(relation_oid: int, days: int = DAYS) -> dict[str, Any]:
    """For a table's page: ``requests`` and ``rows`` by operation, ``callers`` (key, name, role, requests, misfits, last_at; the busiest
    first), ``columns`` (name as sent -> requests that named it) and ``shapes``."""
    shapes = recent_shapes(days, [relation_oid])
    return {
        "requests": _added((s.operation, s.requests) for s in shapes),
        "rows": _added((s.operation, s.rows) for s in shapes),
        "callers": callers_of(shapes),
        "columns": _added((name, s.requests) for s in shapes for name in {*s.keys, *s.named}),
        "shapes": shapes,
    }


def callers_of(shapes: Iterable[RecentShape]) -> list[dict[str, Any]]:
    """One entry a caller, the busiest first."""
    found: dict[tuple[str | None, str], dict[str, Any]] = {}
    for s in shapes:
        nobody = {"key": s.key, "name": s.caller, "role": s.role, "requests": 0, "misfits": 0, "last_at": s.last_at}
        entry = found.setdefault((s.key, s.role), nobody)
        entry["requests"] += s.requests
        entry["misfits"] += s.misfits
        entry["last_at"] = max((at for at in (entry["last_at"], s.last_at) if at is not None), default=None)
    return sorted(found.values(), key=lambda entry: -entry["requests"])


def old_names(days: int = DAYS, relation_oids: Iterable[int] | None = None) -> list[OldUse]:
    """Who used which former name in the last days, the most recent first. Labels have no relation: they are left out where
    ``relation_oids`` is given."""
    rows = OldNameUse.objects.filter(day__gt=timezone.now().date() - timedelta(days=days)).order_by()
    if relation_oids is not None:
        rows = rows.filter(relation_oid__in=list(relation_oids), enum_oid=0)
    found = rows.values(*_USE).annotate(uses=Sum("uses"), caller=Max("caller"), last_at=Max("last_at"))
    return [_read(row, OldUse) for row in found.order_by("-last_at")]


def known() -> Known:
    """How far the counts can be believed."""
    row = TrafficRecording.objects.first()
    return Known() if row is None else Known(row.since, row.lost_at)


def prune() -> int:
    """Forgets shapes after 8 days, uses of former names after 400. Returns how many rows went."""
    now = timezone.now()
    shapes, _ = PayloadShape.objects.filter(hour__lt=now - _SHAPES_KEPT).delete()
    uses, _ = OldNameUse.objects.filter(day__lt=(now - _USES_KEPT).date()).delete()
    return shapes + uses


def _added(pairs: Iterable[tuple[str, int]]) -> dict[str, int]:
    found: dict[str, int] = {}
    for name, count in pairs:
        found[name] = found.get(name, 0) + count
    return dict(sorted(found.items(), key=lambda pair: -pair[1]))


def _read(row: dict[str, Any], into: type[T]) -> T:
    return msgspec.convert({**row, "key": None if row["key"] is None else str(row["key"])}, into, strict=False)
