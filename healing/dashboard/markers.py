"""Schema changes on top of every chart: one mark for each version of the schema."""

from __future__ import annotations

from django.urls import reverse

from healing.dashboard.asked import Asked
from healing.dashboard.chart import Marker
from schema_monitor.models import SchemaChange

MOST = 200
"""Changes that are read, the newest: a chart with more marks says nothing."""
_RANK = {"critical": 0, "high": 1, "medium": 2, "low": 3}


def markers(asked: Asked) -> list[Marker]:
    """Of the stretch, oldest first. A version's mark has the severity of its worst change."""
    rows = SchemaChange.objects.filter(version__taken_at__gte=asked.since, version__taken_at__lte=asked.now).order_by("-pk")
    if asked.table:
        schema, _, table = asked.table.partition(".")
        rows = rows.filter(schema=schema, relation=table)
    found: dict[int, list[tuple[int, str, str, object]]] = {}
    for pk, version, severity, sentence, at in rows.values_list("pk", "version_id", "severity", "sentence", "version__taken_at")[:MOST]:
        found.setdefault(version, []).append((pk, severity, sentence, at))
    return [_marker(changes) for _, changes in sorted(found.items())]


def _marker(changes: list[tuple[int, str, str, object]]) -> Marker:
    pk, severity, sentence, at = min(changes, key=lambda change: (_RANK.get(change[1], 9), change[0]))
    more = f" (and {len(changes) - 1} more)" if len(changes) > 1 else ""
    return Marker(at, f"{sentence}{more}", reverse("admin:schema_monitor_schemachange_change", args=[pk]), severity)  # type: ignore[arg-type]
