"""What is due to whom. Written by the transaction that stores a version, so an alert exists if and only if its change does."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from schema_monitor.alerts import doorbell
from schema_monitor.alerts.models import AlertMessage, Channel, SchemaAlert, SchemaSubscription
from schema_monitor.core.subscribed import wants
from schema_monitor.models import SchemaChange, SchemaVersion

logger = logging.getLogger(__name__)

LOOK_BACK = timedelta(days=7)


def put(version: SchemaVersion, changes: Sequence[SchemaChange]) -> None:
    """Writes down who is to be told of these (saved) changes, and rings for a worker once that is committed.

    Never raises for a fault of ours: the version must be stored. What failed here, ``catch_up`` does later.
    """
    _safely(version, changes, SchemaSubscription.objects.filter(enabled=True))


def catch_up() -> int:
    """Puts what could not be put when its version was stored. Returns how many versions it were."""
    late = SchemaVersion.objects.filter(alerted=False, taken_at__gte=timezone.now() - LOOK_BACK, changes__isnull=False)
    versions = list(late.distinct().only("epoch", "scope", "fingerprint", "taken_at"))
    for version in versions:
        subscriptions = SchemaSubscription.objects.filter(enabled=True, since__lte=version.taken_at)
        _safely(version, list(version.changes.order_by("pk")), subscriptions)
    return len(versions)


def _safely(version: SchemaVersion, changes: Sequence[SchemaChange], subscriptions: Iterable[SchemaSubscription]) -> None:
    try:
        with transaction.atomic():
            if SchemaVersion.objects.filter(pk=version.pk, alerted=False).update(alerted=True):
                _put(version, changes, subscriptions)
    except Exception:
        logger.exception("alerts of schema version %s could not be written; the sweep tries again", version.epoch)


def _put(version: SchemaVersion, changes: Sequence[SchemaChange], subscriptions: Iterable[SchemaSubscription]) -> None:
    alerts = [alert for each in subscriptions for alert in _alerts(each, version, changes)]
    messages = {(alert.subscription_id, alert.message.key): alert.message for alert in alerts}
    AlertMessage.objects.bulk_create(messages.values())
    for alert in alerts:
        alert.message = messages[alert.subscription_id, alert.message.key]
    SchemaAlert.objects.bulk_create(alerts)
    if alerts:
        doorbell.ring_on_commit()


def _alerts(subscription: SchemaSubscription, version: SchemaVersion, changes: Sequence[SchemaChange]) -> Iterable[SchemaAlert]:
    """One for each change that is wanted, with the (unsaved) message that shall carry it."""
    for change in changes:
        if wants(subscription, change):
            number = change.pk if subscription.channel == Channel.WEBHOOK else None
            key = str(version.epoch) if number is None else f"{version.epoch}/{number}"
            message = AlertMessage(subscription=subscription, version=version, key=key, reference=reference(version, number))
            yield SchemaAlert(subscription=subscription, change=change, message=message)


def reference(version: SchemaVersion, change: int | None) -> str:
    """The same for every attempt and every subscription; from (target, epoch, change). The fingerprint tells apart what a control
    database counts anew after it was lost."""
    scope = version.scope
    facts = f"{scope.get('system_identifier')}/{scope.get('database_oid')}/{version.epoch}/{change}/{version.fingerprint}"
    return f"msg_{hashlib.sha256(facts.encode()).hexdigest()[:32]}"
