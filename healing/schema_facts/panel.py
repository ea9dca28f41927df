"""What the monitor's page says about the watcher, the recording of traffic, and alerts."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q
from django.utils import timezone
from msgspec import Struct

from schema_monitor.alerts.models import SchemaSubscription
from schema_monitor.monitor_models import MonitorState
from schema_monitor.traffic_models import TrafficRecording

STALE = timedelta(seconds=30)
"""A watcher says that it watches every few seconds; after so long it does not."""
_LADDER = (
    ("listen", "DDL log and notifications", "milliseconds after the commit"),
    ("log", "DDL log, looked at", "within a second or so"),
    ("counters", "Counters of catalog writes", "within seconds, 10 at most"),
    ("fingerprint", "Fingerprint of the catalog", "within the interval it is taken at"),
)


class Rung(Struct, frozen=True):
    """One way to find changes. ``better`` than the one in force: not possible here."""

    name: str
    title: str
    promise: str
    in_force: bool
    better: bool


class Watching(Struct, frozen=True):
    """The state in words."""

    row: MonitorState | None
    alive: bool
    colour: str
    headline: str
    ladder: tuple[Rung, ...]

    @property
    def test(self) -> list[dict[str, Any]]:
        """The last self-test's checks."""
        return self.row.self_test or [] if self.row else []


def state() -> Watching:
    """Of the one target."""
    row = MonitorState.objects.first()
    alive = row is not None and row.heartbeat_at is not None and timezone.now() - row.heartbeat_at < STALE
    colour, headline = _headline(row, alive)
    order = [name for name, _, _ in _LADDER]
    here = order.index(row.detector) if row and alive and row.detector in order else -1
    ladder = tuple(Rung(name, title, promise, n == here, n < here) for n, (name, title, promise) in enumerate(_LADDER))
    return Watching(row, alive, colour, headline, ladder)


def _headline(row: MonitorState | None, alive: bool) -> tuple[str, str]:
    if row is None or row.heartbeat_at is None:
        return "danger", "No watcher has run yet. Changes are only noticed when a request meets them. Start it: python manage.py up"
    if not alive:
        return "danger", "The watcher does not answer. Changes are only noticed when a request meets them. Start it: python manage.py up"
    if row.detector == MonitorState.Detector.NONE:
        return "danger", "The watcher runs, but the target does not answer."
    words = row.bound_text or (f"A change is seen within {row.bound:g} s." if row.bound else "Changes are watched.")
    return ("success" if row.detector == MonitorState.Detector.LISTEN else "warning"), words[:1].upper() + words[1:]


def alerts() -> list[SchemaSubscription]:
    """Subscriptions with how their deliveries went."""
    delivered, failed = Q(messages__state="delivered"), Q(messages__state="failed")
    waiting = Q(messages__state__in=("waiting", "sending"))
    counts = {
        "sent": Count("messages", filter=delivered),
        "lost": Count("messages", filter=failed),
        "due": Count("messages", filter=waiting),
    }
    return list(SchemaSubscription.objects.annotate(**counts, last=Max("messages__delivered_at")).order_by("name"))


def recording() -> datetime | None:
    """Since when traffic is counted; None = not yet."""
    return TrafficRecording.objects.values_list("since", flat=True).first()
