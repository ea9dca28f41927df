"""Alerts that are no schema change: one message when something begins and one when it is over, however often it is said."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
import redis
from django.db import connection, transaction
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from django.utils.module_loading import import_string
from rq import Queue
from rq.serializers import JSONSerializer
from standardwebhooks import Webhook

from healing import alert_gates, trigger_alerts
from healing.doorbell import OPTIMIZE
from metrics import triggers
from metrics.core.triggers import LIMITS, Finding
from metrics.models import Trigger
from schema_monitor.alerts import gates
from schema_monitor.alerts.claims import retry_now
from schema_monitor.alerts.jobs import deliver
from schema_monitor.alerts.models import AlertMessage
from schema_monitor.alerts.notice_model import Notice
from schema_monitor.alerts.notices import News, begin, end, keep
from schema_monitor.alerts.signing import secrets_of
from tests.integration.alert_rows import subscribed
from tests.integration.far_end import Answer, FarEnd, listening

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("postgres")]
OPEN = News("breaker.open", "ai:x", "high", "Breaker ai:x opened: 9 of 9 calls timed out.", "Look why.", "/admin/", {"calls": 9})
AT_ONCE = timedelta(0)


@pytest.fixture(autouse=True)
def no_gates() -> Iterator[None]:
    gates.configure(None)
    yield
    gates.configure(alert_gates.ask)


@pytest.fixture
def far() -> Iterator[FarEnd]:
    with listening() as far:
        yield far


def later(minutes: int) -> None:
    """Time passes for what was noticed and what is due."""
    for notice in Notice.objects.exclude(settled=None):
        Notice.objects.filter(pk=notice.pk).update(settled=notice.settled - timedelta(minutes=minutes))
    for message in AlertMessage.objects.all():
        AlertMessage.objects.filter(pk=message.pk).update(next_try_at=message.next_try_at - timedelta(minutes=minutes))


def test_a_webhook_hears_signed_when_it_begins_and_when_it_is_over(far: FarEnd) -> None:
    key = Webhook(secrets_of(subscribed(far.url))[0])
    for _ in range(3):
        begin(OPEN)
    assert deliver() == 1
    for _ in range(3):
        end(OPEN.kind, OPEN.about, "It answers again.", quiet=AT_ONCE)
    assert deliver() == 1
    began, ended = (key.verify(heard.text, heard.headers) for heard in far.heard)
    assert (began["type"], ended["type"]) == ("notice.began", "notice.ended")
    said = began["data"]["notice"]
    assert (said["kind"], said["about"], said["severity"], said["facts"]) == ("breaker.open", "ai:x", "high", {"calls": 9})
    assert said["url"].endswith("/admin/") and said["next_step"] == "Look why." and said["ended"] is None
    assert ended["data"]["notice"]["outcome"] == "It answers again." and ended["data"]["notice"]["ended"]
    assert len({heard.headers["webhook-id"] for heard in far.heard}) == 2


@pytest.mark.parametrize("channel", ["slack", "discord"])
def test_chats_say_what_it_is_and_that_it_is_over(far: FarEnd, channel: str) -> None:
    subscribed(far.url, channel)
    begin(News("budget.spent", "team", "critical", "<!channel> @everyone spent it all.", "Raise it."))
    deliver()
    end("budget.spent", "team", "A new month began.", quiet=AT_ONCE)
    deliver()
    began, ended = (heard.text for heard in far.heard)
    assert "critical" in began and "spent it all" in began and "Raise it." in began
    assert ("&lt;!channel&gt;" if channel == "slack" else r"\\@everyone") in began
    assert "Over after 0 s" in ended and "A new month began." in ended and "Raise it." not in ended


def test_it_is_told_to_those_who_want_it_and_its_end_to_those_who_heard_of_it(far: FarEnd) -> None:
    for name, wish in {
        "all": {},
        "severe": {"minimum": "critical"},
        "breakers": {"kinds": ["breaker.*"]},
        "other": {"kinds": ["trigger.*"]},
    }.items():
        subscribed(far.url, name=name, **wish)
    subscribed(far.url, name="a table", tables=["orders"])
    begin(OPEN)
    subscribed(far.url, name="late")
    end(OPEN.kind, OPEN.about, quiet=AT_ONCE)
    told = AlertMessage.objects.order_by("pk").values_list("subscription__name", "over")
    assert list(told) == [("all", False), ("breakers", False), ("all", True), ("breakers", True)]


def test_what_flickers_is_told_once(far: FarEnd) -> None:
    subscribed(far.url)
    first = begin(OPEN)
    for _ in range(4):
        end(OPEN.kind, OPEN.about)
        assert begin(OPEN).pk == first.pk
    assert deliver() == 1
    end(OPEN.kind, OPEN.about)
    assert deliver() == 0, "it may come back"
    later(3)
    assert deliver() == 1
    assert begin(OPEN).pk != first.pk
    assert deliver() == 1
    assert [heard.json["type"] for heard in far.heard] == ["notice.began", "notice.ended", "notice.began"]


def test_an_end_that_was_told_early_is_not_taken_back(far: FarEnd) -> None:
    subscribed(far.url)
    first = begin(OPEN)
    end(OPEN.kind, OPEN.about)
    AlertMessage.objects.update(next_try_at=timezone.now())
    assert deliver() == 2
    assert begin(OPEN).pk != first.pk
    assert deliver() == 1


def test_an_alert_exists_if_and_only_if_its_fact_does(far: FarEnd) -> None:
    subscribed(far.url)
    with transaction.atomic():
        begin(OPEN)
        transaction.set_rollback(True)
    assert not Notice.objects.exists() and deliver() == 0


def test_a_level_is_kept_however_often_it_is_said(far: FarEnd) -> None:
    subscribed(far.url)
    other = News("trigger.x", "", "high", "Another thing.")
    begin(other)
    for _ in range(2):
        keep("breaker.", [OPEN, News("breaker.open", "ai:y", "high", "ai:y, too.")], quiet=AT_ONCE)
    keep("breaker.", [OPEN], quiet=AT_ONCE)
    still = Notice.objects.filter(ended=None).order_by("about").values_list("kind", "about")
    assert list(still) == [("trigger.x", ""), ("breaker.open", "ai:x")]
    assert deliver() == 4


def test_a_long_name_fails_no_alert(far: FarEnd) -> None:
    subscribed(far.url)
    long = News("budget.spent", "x" * 300, "high", "Spent.")
    assert begin(long).pk == begin(long).pk
    keep("budget.", [long], quiet=AT_ONCE)
    assert end(long.kind, long.about, quiet=AT_ONCE) is not None
    assert deliver() == 2


def test_what_was_not_accepted_is_tried_again_like_any_alert(far: FarEnd) -> None:
    subscribed(far.url)
    begin(OPEN)
    far.answers.append(Answer(500))
    deliver()
    message = AlertMessage.objects.get()
    assert message.state == "waiting"
    AlertMessage.objects.update(state="failed")
    assert retry_now([message.pk]) == 1
    deliver()
    assert far.heard[0].headers["webhook-id"] == far.heard[1].headers["webhook-id"]
    assert AlertMessage.objects.get().state == "delivered"


@pytest.mark.django_db(transaction=True)
def test_processes_that_say_the_same_at_once_make_one(far: FarEnd) -> None:
    subscribed(far.url)

    def say(_: int) -> int:
        try:
            return begin(OPEN).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(6) as pool:
        assert len(set(pool.map(say, range(12)))) == 1
    assert AlertMessage.objects.count() == 1


FIRED = Finding("healing_success", "", "Healing succeeds in 40.0% of cases, below 90%.", {"good": [40, 40], "of": [100, 100]})


def test_a_trigger_is_told_when_it_fires_and_when_it_ends(far: FarEnd) -> None:
    subscribed(far.url)
    now = timezone.now()
    for minute in range(3):
        triggers.remember([FIRED], now + timedelta(minutes=minute))
    assert deliver() == 1
    triggers.remember([], now + timedelta(minutes=20))
    assert deliver() == 1
    began, ended = (heard.json for heard in far.heard)
    said = began["data"]["notice"]
    assert (said["kind"], said["severity"], said["facts"]["good"]) == ("trigger.healing_success", "high", [40, 40])
    assert said["url"].endswith("/causes/") and ended["type"] == "notice.ended"


def test_a_trigger_that_begins_rings_for_the_optimizer_once(
    valkey_url: str, settings: Any, django_capture_on_commit_callbacks: Callable[..., Any]
) -> None:
    settings.RQ_QUEUES = {"default": {"URL": valkey_url, "SERIALIZER": "rq.serializers.JSONSerializer"}}
    for _ in range(2):
        with django_capture_on_commit_callbacks(execute=True):
            triggers.remember([FIRED], timezone.now())
    with redis.Redis.from_url(valkey_url) as client:
        rung = [job.func_name for job in Queue("default", connection=client, serializer=JSONSerializer).get_jobs()]
    assert rung == [OPTIMIZE]
    assert callable(import_string(OPTIMIZE)), "the layer above is known by name only: the name must be right"


def test_an_alert_that_cannot_be_written_keeps_no_trigger_from_being_stored_and_is_made_good(
    far: FarEnd, monkeypatch: pytest.MonkeyPatch
) -> None:
    subscribed(far.url)

    def broken(*_: Any, **__: Any) -> None:
        begin(OPEN)
        raise RuntimeError("out of order")

    with monkeypatch.context() as patch:
        patch.setattr(trigger_alerts, "keep", broken)
        triggers.remember([FIRED], timezone.now())
    assert Trigger.objects.filter(ended=None).count() == 1 and not Notice.objects.exists()
    triggers.remember([FIRED], timezone.now())
    assert deliver() == 1


def test_every_trigger_says_how_bad_it_is_and_leads_somewhere(admin_client: Client) -> None:
    assert set(trigger_alerts.KINDS) == {limit.name for limit in LIMITS}
    for said in trigger_alerts.KINDS.values():
        assert said.step
        assert admin_client.get(reverse(said.page)).status_code == 200
    burning = Trigger(name="burn_rate", about="14.4×", sentence="…")
    assert trigger_alerts.news(burning).severity == "critical"


def test_the_pages_show_notices_and_try_them_again(admin_client: Client, far: FarEnd) -> None:
    subscribed(far.url)
    begin(OPEN)
    end(OPEN.kind, OPEN.about, "It answers again.")
    text = admin_client.get(reverse("admin:schema_monitor_alertmessage_changelist")).content.decode()
    assert f"Over: {OPEN.sentence}" in text
    AlertMessage.objects.update(state="failed", last_error="HTTP 500")
    message = AlertMessage.objects.get(over=True)
    text = admin_client.get(reverse("admin:schema_monitor_alertmessage_change", args=[message.pk])).content.decode()
    assert OPEN.sentence in text and "It answers again." in text and "Try now" in text
    text = admin_client.get(reverse("admin:schema_monitor_schemasubscription_changelist")).content.decode()
    assert "0 · 2" in text
