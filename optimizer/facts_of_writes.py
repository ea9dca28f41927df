"""What the sums of the metrics tell of writes, and the monitor of itself."""

from __future__ import annotations

import time
from datetime import datetime, timedelta
from typing import Any

from healing.target import target_connection
from metrics import timelines
from optimizer.core.transactions import Table
from optimizer.core.tune import Batched, Watched
from optimizer.models import Proposal
from schema_monitor.detect import Detector
from schema_monitor.models import SchemaVersion
from schema_monitor.monitor_models import MonitorState

WRITES, SECONDS = "mendgate_writes_total", "mendgate_write_seconds"
LANDED = ("healthy", "healed")
MONTHS = timedelta(days=56)
_SHARED = 2.0
"""batches of a lane under way at a time."""


def batched(now: datetime) -> Batched:
    """Busiest minute of the last day, mean time of a write, and what came of earlier steps."""
    with timelines.one_moment():
        places = timelines.asked([WRITES, SECONDS])
        minutes = timelines.steps(places, now - timedelta(days=1), now, timedelta(minutes=1))
        whole = timelines.whole(places, now - timedelta(days=1), now)
    busiest = max((each.figures.total(WRITES, operation="insert") for each in minutes), default=0.0) / 60
    tried = Proposal.objects.filter(name="batch_rows", state__in=["adopted", "rolled back"], measured__isnull=False).order_by("changed_at")
    steps = tuple((_way(p.old, p.new), float(middle)) for p in tried if (middle := (p.measured or {}).get("middle")) is not None)
    return Batched(busiest, (whole.sketch(SECONDS, outcome=LANDED).mean or 0.0) * 1000, steps)


def tables(now: datetime) -> list[Table]:
    """Inserts of eight weeks by table; how many share a statement: by Little's law, over the batches that run side by side."""
    busy = batched(now)
    with timelines.one_moment():
        figures = timelines.whole(timelines.asked([WRITES], keep=("table",)), now - MONTHS, now)
    inserts = figures.by(WRITES, "table", operation="insert")
    refused = figures.by(WRITES, "table", operation="insert", outcome=("refused", "failed"))
    together = min(50.0, busy.busiest * busy.mean_ms / 1000 / _SHARED)
    return [Table(place[0], int(count), int(refused.get(place, 0)), together) for place, count in inserts.items()]


def _way(old: Any, new: Any) -> str:
    return "up" if new > old else "down"


def watched(now: datetime, since: datetime | None = None) -> Watched | None:
    """How the monitor does since then (30 days); None where it does not watch. What a request noticed first came too late by a look."""
    state = MonitorState.objects.first()
    if state is None or state.detector in ("", "none"):
        return None
    versions = SchemaVersion.objects.filter(taken_at__gte=since or now - timedelta(days=30)).exclude(cause__in=["start", "command"])
    late = versions.filter(cause="in_band") if state.detector == "listen" else versions
    return Watched(state.detector, _look_seconds(), versions.count(), late.count())


def _look_seconds() -> float:
    """What one look costs, tried now: the second one, as the first reads more."""
    with target_connection() as target:
        detector = Detector(target)
        detector.look(logged=False)
        began = time.perf_counter()
        detector.look(logged=False)
        return time.perf_counter() - began
