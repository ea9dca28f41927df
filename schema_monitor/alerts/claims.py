"""A message's way from due to through.

::

    waiting ──claim──> sending ──┬─ delivered
       ^                         ├─ failed    given up: attempts or three days used up
       └── failed, lease lost ───┘

One message of a subscription is sent at a time, in order; one that waits for its next try lets the others pass. At least once: who
dies between sending and settling loses the lease, and the message is sent again under the same reference.
"""

from __future__ import annotations

import random
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.utils import timezone
from msgspec import Struct

from schema_monitor import server_clock
from schema_monitor.alerts.models import TELLS, AlertDelivery, AlertMessage, SchemaSubscription
from schema_monitor.alerts.sent import Sent
from schema_monitor.core.retry import KEEP, MAX_ATTEMPTS, OPENS_AT, pause_of_destination, pause_of_message

LEASE = timedelta(minutes=3)
"""Longer than any attempt takes."""
_LOCK = 0x6D67_616C  # claims one after another, or two workers could send to one subscription at once
_FIRST_HOLD = timedelta(seconds=5)
_DIED = "The worker ended while it was being sent; it may have arrived."

_RECOVER = """
WITH lost AS (
    UPDATE schema_monitor_alertmessage
    SET state = CASE WHEN attempts >= %(most)s THEN 'failed' ELSE 'waiting' END,
        next_try_at = clock_timestamp(), lease_until = NULL, last_error = %(why)s
    WHERE state = 'sending' AND lease_until < clock_timestamp()
    RETURNING id
)
INSERT INTO schema_monitor_alertdelivery (message_id, outcome, error) SELECT id, 'unknown', %(why)s FROM lost
"""
_CLAIM = """
WITH due AS (
    SELECT first.id
    FROM schema_monitor_schemasubscription s
    CROSS JOIN LATERAL (
        SELECT m.id, m.next_try_at FROM schema_monitor_alertmessage m
        WHERE m.subscription_id = s.id AND m.state = 'waiting' AND m.next_try_at <= clock_timestamp() ORDER BY m.id LIMIT 1
    ) first
    WHERE s.enabled AND (s.paused_until IS NULL OR s.paused_until <= clock_timestamp())
      AND NOT EXISTS (SELECT FROM schema_monitor_alertmessage b WHERE b.subscription_id = s.id AND b.state = 'sending')
    ORDER BY first.next_try_at, first.id
    LIMIT %(limit)s
)
UPDATE schema_monitor_alertmessage m
SET state = 'sending', attempts = attempts + 1, lease_until = clock_timestamp() + make_interval(secs => %(lease)s)
FROM due WHERE m.id = due.id
RETURNING m.id, m.lease_until
"""


class Claim(Struct, frozen=True):
    """A message that is ours until the lease ends. The lease's end is also the token that proves it."""

    id: int
    lease_until: datetime


@transaction.atomic
def claim(limit: int) -> list[Claim]:
    """Up to ``limit`` due messages, each of another subscription."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK])
        cursor.execute(_RECOVER, {"most": MAX_ATTEMPTS, "why": _DIED})
        cursor.execute(_CLAIM, {"limit": limit, "lease": LEASE.total_seconds()})
        return [Claim(*row) for row in cursor.fetchall()]


@transaction.atomic
def settle(claimed: Claim, sent: Sent) -> AlertDelivery | None:
    """Writes down how an attempt went, and what it says about the destination. None where the lease was lost meanwhile, or the message
    was held back and no attempt was made."""
    message = (
        AlertMessage.objects.select_for_update(of=("self", "subscription"), no_key=True).select_related("subscription")
        .filter(pk=claimed.id, state=AlertMessage.State.SENDING, lease_until=claimed.lease_until).first()
    )  # fmt: skip
    if message is None:
        return None
    if sent.held:
        _hold(message, sent)
        return None
    if sent.ok:
        _delivered(message)
    else:
        _failed(message, sent)
    message.lease_until = None
    message.save(update_fields=["state", "lease_until", "next_try_at", "delivered_at", "last_error"])
    waits = message.state == AlertMessage.State.WAITING
    return AlertDelivery.objects.create(
        message=message,
        at=timezone.now(),
        outcome=AlertDelivery.Outcome.DELIVERED if sent.ok else AlertDelivery.Outcome.FAILED,
        status=sent.status,
        milliseconds=sent.milliseconds,
        error=sent.error,
        next_try_at=message.next_try_at if waits else None,
    )


def give_up_old() -> int:
    """Ends the wait of messages that were not delivered for ``KEEP``: their subscription is disabled, or its destination is down."""
    old = AlertMessage.objects.filter(state=AlertMessage.State.WAITING, made_at__lt=timezone.now() - KEEP)
    old.filter(last_error="").update(last_error=f"Not tried for {KEEP.days} days: the subscription was disabled, or its destination down.")
    return old.update(state=AlertMessage.State.FAILED)


@transaction.atomic
def retry_now(ids: list[int]) -> int:
    """Makes messages that wait or were given up due at once, with all their attempts. Returns how many."""
    State = AlertMessage.State
    messages = AlertMessage.objects.filter(pk__in=ids, state__in=[State.WAITING, State.FAILED]).filter(TELLS)
    SchemaSubscription.objects.filter(messages__in=messages).update(paused_until=None)
    return messages.update(state=State.WAITING, attempts=0, next_try_at=server_clock.now(), made_at=timezone.now())


def _delivered(message: AlertMessage) -> None:
    """It works again: what waited for that waits no longer."""
    subscription = message.subscription
    if subscription.failures >= OPENS_AT:
        waiting = AlertMessage.objects.filter(subscription=subscription, state=AlertMessage.State.WAITING)
        waiting.update(next_try_at=server_clock.now())
    if subscription.failures or subscription.paused_until:
        _circuit(subscription, 0, None)
    message.state, message.delivered_at, message.last_error = AlertMessage.State.DELIVERED, timezone.now(), ""


def _failed(message: AlertMessage, sent: Sent) -> None:
    """A destination that only asks for patience (429) is not broken; one that is gone (410) is told nothing more. A test is not
    repeated."""
    now, subscription = server_clock.now(), message.subscription
    message.last_error = sent.error
    failures = subscription.failures + (sent.status != 429)
    pauses = [pause for pause in (sent.pause, pause_of_destination(failures)) if pause]
    _circuit(subscription, failures, now + max(pauses) if pauses else None)
    pause = None if message.is_test else pause_of_message(message.attempts, random.random())  # noqa: S311  (no secret)
    if sent.gone:
        SchemaSubscription.objects.filter(pk=subscription.pk).update(enabled=False, why_disabled="Its destination says it is gone (410).")
    if pause is None or sent.gone:
        message.state = AlertMessage.State.FAILED
    else:
        message.state, message.next_try_at = AlertMessage.State.WAITING, now + max(pause, sent.pause or pause)


def _hold(message: AlertMessage, sent: Sent) -> None:
    """Back to the outbox as if it had not been claimed. A test is not repeated."""
    message.attempts = max(message.attempts - 1, 0)
    message.state = AlertMessage.State.FAILED if message.is_test else AlertMessage.State.WAITING
    message.next_try_at, message.last_error, message.lease_until = server_clock.now() + (sent.pause or _FIRST_HOLD), sent.error, None
    message.save(update_fields=["state", "attempts", "next_try_at", "last_error", "lease_until"])


def _circuit(subscription: SchemaSubscription, failures: int, until: datetime | None) -> None:
    SchemaSubscription.objects.filter(pk=subscription.pk).update(failures=failures, paused_until=until)
