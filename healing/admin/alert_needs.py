"""Subscriptions that do not reach anybody any more, for the dashboard."""

from __future__ import annotations

from django.db.models import Exists, OuterRef, Q
from django.utils import timezone

from schema_monitor.alerts.models import TELLS, AlertMessage, SchemaSubscription
from schema_monitor.core.retry import KEEP, OPENS_AT


def deaf() -> str:
    """A sentence about those that are left alone, were switched off by their destination, or missed an alert in the last days; '' for
    none."""
    missed = AlertMessage.objects.filter(
        TELLS, subscription=OuterRef("pk"), state=AlertMessage.State.FAILED, made_at__gte=timezone.now() - 2 * KEEP
    )
    failing = Q(enabled=True) & (Q(failures__gte=OPENS_AT) | Exists(missed))
    gone = Q(enabled=False, why_disabled__contains="410")
    names = list(SchemaSubscription.objects.filter(failing | gone).values_list("name", flat=True)[:4])
    more = " and more" if len(names) > 3 else ""
    return f"Alerts do not arrive: {', '.join(names[:3])}{more}" if names else ""
