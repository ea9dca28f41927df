"""The test button: one message to one subscription, now, on the same way as any other."""

from __future__ import annotations

from uuid import uuid4

from django.utils import timezone

from schema_monitor import server_clock
from schema_monitor.alerts.claims import LEASE, Claim, settle
from schema_monitor.alerts.models import AlertDelivery, AlertMessage, SchemaSubscription
from schema_monitor.alerts.parcel import pack


def send_test(subscription: SchemaSubscription) -> AlertDelivery:
    """Sends a test and says how it went; it is tried once. Waits for the answer, 15 s at most (longer for a slow mail server).

    Works for a disabled or paused subscription too, and a success ends the pause.
    """
    token = uuid4().hex
    message = AlertMessage.objects.create(
        subscription=subscription,
        key=f"test/{token}",
        reference=f"msg_{token}",
        state=AlertMessage.State.SENDING,
        attempts=1,
        made_at=timezone.now(),
        lease_until=server_clock.now() + LEASE,
    )
    assert message.lease_until is not None
    delivery = settle(Claim(message.pk, message.lease_until), pack(message).send())
    return delivery or AlertDelivery(message=message, outcome=AlertDelivery.Outcome.UNKNOWN, error="It took too long.")
