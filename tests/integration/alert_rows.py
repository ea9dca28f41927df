"""Rows that the alerts' tests start from: subscriptions, and versions whose changes are in the outbox."""

from __future__ import annotations

from typing import Any

from django.utils import timezone

from schema_monitor.alerts import outbox
from schema_monitor.alerts.models import AlertMessage, SchemaSubscription
from schema_monitor.alerts.subscribing import subscribe
from schema_monitor.models import SchemaChange, SchemaVersion

RENAMED = {
    "kind": "column_renamed",
    "severity": "high",
    "object": "b",
    "old": "a",
    "new": "b",
    "sentence": "Column public.t.a was renamed to b.",
}
REMOVED = {"kind": "column_removed", "severity": "critical", "object": "c", "old": "c", "sentence": "Column public.t.c was removed."}
ADDED = {"kind": "column_added", "severity": "low", "object": "d", "new": "d", "sentence": "Column public.t.d was added."}


def subscribed(url: str, channel: str = "webhook", **filters: Any) -> SchemaSubscription:
    """A subscription to everything."""
    return subscribe(filters.pop("name", f"{channel} to the far end"), channel, url, **{"minimum": "low", **filters})


def stored(*changes: dict[str, Any], epoch: int = 2, put: bool = True) -> SchemaVersion:
    """A version with these changes, as a capture stores them."""
    facts = {"scope": {"system_identifier": "71", "database_oid": 5}, "fingerprint": f"f{epoch}", "snapshot": {}, "lineage": {}}
    version = SchemaVersion.objects.create(epoch=epoch, summary="…", **facts)
    where = {"schema": "public", "relation": "t", "breaks_old_writers": True, "usr": "ann", "app": "psql"}
    rows = SchemaChange.objects.bulk_create([SchemaChange(version=version, **{**where, **each}) for each in changes])
    if put:
        outbox.put(version, rows)
    return version


def due_now(*messages: AlertMessage) -> None:
    """Time passes: these messages, and the pauses of all destinations, are over."""
    AlertMessage.objects.filter(pk__in=[m.pk for m in messages]).update(next_try_at=timezone.now())
    SchemaSubscription.objects.update(paused_until=None)
