"""Alerts from the stored version to the far end: each once, at least once, and truthfully told."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.db import connection, transaction
from django.utils import timezone
from standardwebhooks import Webhook

from healing import alert_gates
from schema_monitor.alerts import gates, outbox, post
from schema_monitor.alerts.claims import claim, give_up_old, retry_now, settle
from schema_monitor.alerts.jobs import _packed, deliver, sweep
from schema_monitor.alerts.models import AlertDelivery, AlertMessage, SchemaAlert, SchemaSubscription
from schema_monitor.alerts.sent import Sent
from schema_monitor.alerts.signing import retire_old, rotate, secrets_of
from schema_monitor.alerts.subscribing import enable
from schema_monitor.alerts.trial import send_test
from schema_monitor.core.retry import MAX_ATTEMPTS, OPENS_AT
from schema_monitor.models import SchemaVersion
from tests.integration.alert_rows import ADDED, REMOVED, RENAMED, due_now, stored, subscribed
from tests.integration.far_end import Answer, FarEnd, listening

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("postgres")]


@pytest.fixture(autouse=True)
def no_gates() -> Iterator[None]:
    """The outbox's own patience is what is looked at here; a destination's breaker would be faster."""
    gates.configure(None)
    yield
    gates.configure(alert_gates.ask)


@pytest.fixture
def far() -> Iterator[FarEnd]:
    with listening() as far:
        yield far


def test_a_webhook_gets_one_signed_event_for_each_change(far: FarEnd) -> None:
    subscription = subscribed(far.url)
    version = stored(RENAMED, REMOVED)
    assert deliver() == 2
    key = Webhook(secrets_of(subscription)[0])
    events = [key.verify(heard.text, heard.headers) for heard in far.heard]
    assert [event["data"]["change"]["kind"] for event in events] == ["column_renamed", "column_removed"]
    first = events[0]
    assert (first["type"], first["data"]["target"], first["data"]["epoch"]) == ("schema.change", "71/5", 2)
    assert first["data"]["change"]["by"] == {"role": "ann", "application": "psql", "statement": None}
    assert first["data"]["change"]["url"].endswith(f"/admin/schema_monitor/schemachange/{version.changes.first().pk}/change/")
    assert len({heard.headers["webhook-id"] for heard in far.heard}) == 2
    assert set(AlertMessage.objects.values_list("state", "attempts")) == {("delivered", 1)}


def test_people_get_one_message_a_version(far: FarEnd) -> None:
    subscribed(far.url, "slack")
    stored(RENAMED, ADDED, REMOVED)
    assert deliver() == 1
    blocks = [block["text"]["text"] for block in far.heard[0].json["blocks"]]
    assert blocks[0] == "3 schema changes, the worst is critical: Column public.t.c was removed."
    assert [text.split("*")[1] for text in blocks[1:-1]] == ["critical", "high", "low"]
    assert SchemaAlert.objects.count() == 3


def test_only_what_is_asked_for_is_told(far: FarEnd) -> None:
    subscribed(far.url, name="bad only", minimum="critical")
    subscribed(far.url, name="other tables", tables=["orders", "u*"])
    subscribed(far.url, name="renames here", kinds=["*_renamed"], schemas=["pub*"])
    enable(subscribed(far.url, name="off"), on=False)
    stored(RENAMED, REMOVED, ADDED)
    told = SchemaAlert.objects.values_list("subscription__name", "change__kind").order_by("pk")
    assert list(told) == [("bad only", "column_removed"), ("renames here", "column_renamed")]


def test_each_alert_is_told_once_however_often_it_is_put(far: FarEnd) -> None:
    subscribed(far.url)
    version = stored(RENAMED)
    outbox.put(version, list(version.changes.all()))
    assert outbox.catch_up() == 0
    assert deliver() == 1
    assert deliver() == 0
    assert len(far.heard) == 1


def test_what_could_not_be_put_with_its_version_is_put_by_the_sweep_for_those_who_asked_by_then(far: FarEnd) -> None:
    subscribed(far.url)
    version = stored(RENAMED, put=False)
    SchemaVersion.objects.filter(pk=version.pk).update(taken_at=timezone.now() + timedelta(seconds=1))
    subscription = subscribed(far.url, name="later")
    SchemaSubscription.objects.filter(pk=subscription.pk).update(since=timezone.now() + timedelta(minutes=1))
    sweep()
    assert [alert.subscription.name for alert in SchemaAlert.objects.all()] == ["webhook to the far end"]
    assert len(far.heard) == 1


def test_a_fault_of_ours_does_not_keep_the_version_from_being_stored(far: FarEnd) -> None:
    subscription = subscribed(far.url)
    SchemaSubscription.objects.filter(pk=subscription.pk).update(tables={"not": "a list"}, minimum="nonsense")
    with transaction.atomic():
        version = stored(RENAMED)
    version.refresh_from_db()
    assert not version.alerted
    SchemaSubscription.objects.filter(pk=subscription.pk).update(tables=[], minimum="low", since=version.taken_at)
    sweep()
    assert len(far.heard) == 1


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (Answer(500, body="out of order"), "HTTP 500 out of order"),
        (Answer(302, {"Location": "http://127.0.0.1:1/"}), "HTTP 302"),
        (Answer(404), "HTTP 404"),
        (Answer(cut=True), "RemoteProtocolError: Server disconnected without sending a response."),
    ],
    ids=["broken", "redirect", "no such page", "cut"],
)
def test_what_was_not_accepted_is_tried_again_under_the_same_id(far: FarEnd, answer: Answer, said: str) -> None:
    subscribed(far.url)
    stored(RENAMED)
    far.answers.append(answer)
    assert deliver() == 1
    message = AlertMessage.objects.get()
    assert (message.state, message.last_error) == ("waiting", said)
    assert timedelta(seconds=3) < message.next_try_at - AlertDelivery.objects.get().at < timedelta(seconds=7)
    due_now(message)
    assert deliver() == 1
    first, second = far.heard
    assert (first.headers["webhook-id"], first.text) == (second.headers["webhook-id"], second.text)
    assert list(AlertDelivery.objects.values_list("outcome", "error").order_by("pk")) == [("failed", said), ("delivered", "")]


def test_a_slow_answer_is_not_waited_for_and_holds_up_nobody(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(post, "SECONDS", 0.4)
    subscribed(far.url, name="slow")
    stored(RENAMED)
    with listening() as quick:
        subscribed(quick.url, name="quick")
        stored(RENAMED, REMOVED, epoch=3)
        far.answers.append(Answer(slow=True))
        deliver()
        assert len(quick.heard) == 2
    first = AlertDelivery.objects.filter(outcome="failed").get()
    assert first.error == "No answer within 0 s."
    assert first.milliseconds and 350 < first.milliseconds < 5000


def test_retry_after_is_honoured_for_the_whole_destination(far: FarEnd) -> None:
    subscription = subscribed(far.url)
    stored(RENAMED, REMOVED)
    far.answers.append(Answer(429, {"Retry-After": "120"}))
    assert deliver() == 1
    subscription.refresh_from_db()
    assert subscription.failures == 0
    assert subscription.paused_until is not None
    assert timedelta(seconds=110) < subscription.paused_until - timezone.now() <= timedelta(seconds=120)
    assert AlertMessage.objects.order_by("pk")[0].next_try_at - timezone.now() > timedelta(seconds=100)
    assert deliver() == 0


def test_a_crash_between_sending_and_recording_sends_it_again_under_the_same_id(far: FarEnd) -> None:
    subscribed(far.url)
    stored(RENAMED)
    (lost,) = claim(5)
    assert _packed(lost).send().ok
    assert claim(5) == []
    AlertMessage.objects.update(lease_until=timezone.now() - timedelta(seconds=1))
    assert deliver() == 1
    assert settle(lost, Sent(True, 204)) is None
    assert len({heard.headers["webhook-id"] for heard in far.heard}) == 1
    assert list(AlertDelivery.objects.values_list("outcome", flat=True).order_by("pk")) == ["unknown", "delivered"]
    assert AlertMessage.objects.get().attempts == 2


def test_a_broken_destination_is_left_alone_then_one_message_tries_and_the_rest_follows(far: FarEnd) -> None:
    subscription = subscribed(far.url)
    stored(*[RENAMED] * (OPENS_AT + 2))
    far.answers.extend([Answer(500)] * OPENS_AT)
    assert deliver() == OPENS_AT
    assert deliver() == 0
    subscription.refresh_from_db()
    assert subscription.failures == OPENS_AT
    assert subscription.paused_until is not None
    assert subscription.paused_until > timezone.now()
    SchemaSubscription.objects.update(paused_until=timezone.now())
    assert deliver() == OPENS_AT + 2
    subscription.refresh_from_db()
    assert (subscription.failures, subscription.paused_until) == (0, None)
    assert not AlertMessage.objects.exclude(state="delivered").exists()


def test_giving_up_is_a_state_that_is_seen_and_a_person_may_retry(far: FarEnd) -> None:
    subscribed(far.url)
    stored(RENAMED)
    AlertMessage.objects.update(attempts=MAX_ATTEMPTS - 1)
    far.answers.append(Answer(503))
    deliver()
    message = AlertMessage.objects.get()
    assert message.state == "failed"
    assert message.deliveries.get().next_try_at is None
    assert retry_now([message.pk]) == 1
    assert deliver() == 1
    message.refresh_from_db()
    assert message.state == "delivered"


def test_what_could_not_be_tried_for_three_days_is_given_up(far: FarEnd) -> None:
    subscription = subscribed(far.url)
    stored(RENAMED)
    enable(subscription, on=False)
    assert deliver() == 0
    AlertMessage.objects.update(made_at=timezone.now() - timedelta(days=4))
    assert give_up_old() == 1
    assert "3 days" in AlertMessage.objects.get().last_error


def test_a_destination_that_is_gone_is_switched_off(far: FarEnd) -> None:
    subscription = subscribed(far.url)
    stored(RENAMED)
    far.answers.append(Answer(410))
    deliver()
    subscription.refresh_from_db()
    assert (subscription.enabled, subscription.why_disabled) == (False, "Its destination says it is gone (410).")


def test_while_a_secret_is_rotated_both_sign(far: FarEnd) -> None:
    subscription = subscribed(far.url)
    (old,) = secrets_of(subscription)
    rotate(subscription)
    new, kept = secrets_of(subscription)
    assert kept == old
    stored(RENAMED)
    deliver()
    for secret in (old, new):
        Webhook(secret).verify(far.heard[0].text, far.heard[0].headers)
    retire_old(subscription)
    assert secrets_of(subscription) == [new]


def test_the_test_button_says_how_it_went_and_is_tried_once(far: FarEnd) -> None:
    subscription = subscribed(far.url)
    enable(subscription, on=False)
    far.answers.append(Answer(401, body="who are you?"))
    refused = send_test(subscription)
    assert (refused.outcome, refused.status, refused.error, refused.next_try_at) == ("failed", 401, "HTTP 401 who are you?", None)
    assert send_test(subscription).outcome == "delivered"
    assert far.heard[1].json["type"] == "mendgate.test"
    assert abs(datetime.fromtimestamp(int(far.heard[1].headers["webhook-timestamp"]), UTC) - datetime.now(UTC)) < timedelta(seconds=5)
    assert deliver() == 0


def test_the_address_and_secrets_are_not_in_the_database_as_text(far: FarEnd) -> None:
    subscription = subscribed(far.url)
    row = SchemaSubscription.objects.filter(pk=subscription.pk).values().get()
    assert row["shown_address"] == f"http://127.0.0.1:{far.server.server_port}/…"
    assert b"top-secret" not in bytes(row["address"])
    assert b"whsec_" not in bytes(row["secrets"])


def test_addresses_inside_are_refused_unless_the_operator_named_them(far: FarEnd, settings: Any) -> None:
    settings.MENDGATE = msgspec.structs.replace(settings.MENDGATE, alert_networks=())
    delivery = send_test(subscribed(far.url))
    assert delivery.error == "127.0.0.1 is no address that alerts may go to (without TLS only a network in ALERT_NETWORKS is)."
    delivery = send_test(subscribed(far.url.replace("http:", "https:").replace("127.0.0.1", "localhost"), name="by name"))
    assert delivery.error == "localhost is no address that alerts may go to: see ALERT_NETWORKS."
    assert far.heard == []


@pytest.mark.django_db(transaction=True)
def test_workers_side_by_side_send_each_message_once_and_in_order(far: FarEnd) -> None:
    subscribed(far.url)
    with listening() as second:
        subscribed(second.url, name="second")
        version = stored(*[RENAMED] * 8)
        with ThreadPoolExecutor(3) as pool:
            tried = [pool.submit(_deliver_apart) for _ in range(3)]
            assert sum(each.result() for each in tried) == 16
        ids = list(version.changes.values_list("pk", flat=True))
        assert [[heard.json["data"]["change"]["id"] for heard in each.heard] for each in (far, second)] == [ids, ids]


def _deliver_apart() -> int:
    try:
        return deliver()
    finally:
        connection.close()
