"""What is so at this moment: the quarantine, the queue of decisions."""

from __future__ import annotations

from django.db.models import Count, Min
from django.utils import timezone

from healing.models import Proposal, QuarantineItem
from metrics.prometheus import Gauge


def quarantine_age() -> float | None:
    """Seconds that the oldest waiting write has waited; None where none waits."""
    oldest = QuarantineItem.objects.filter(state="waiting").aggregate(at=Min("created_at"))["at"]
    return None if oldest is None else (timezone.now() - oldest).total_seconds()


def gauges() -> list[Gauge]:
    """For Prometheus."""
    states = QuarantineItem.objects.order_by().values_list("state").annotate(n=Count("id"))
    kept: dict[tuple[str, ...], float] = {(str(state),): float(count) for state, count in states}
    open_now = float(Proposal.objects.filter(state="open").count())
    return [
        Gauge("mendgate_quarantine_items", "Kept writes by state.", kept, ("state",)),
        Gauge("mendgate_quarantine_oldest_seconds", "How long the oldest waiting write has waited.", {(): quarantine_age() or 0.0}),
        Gauge("mendgate_proposals_open", "Fixes that wait for a person.", {(): open_now}),
    ]
