"""A secret rotates without anybody being interrupted; what may have happened since a backup does not happen again by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from healing import replay_orders, resealing, restored, wake
from healing.gateway import seal
from healing.models import QuarantineItem, Replay
from schema_monitor.alerts.models import SchemaSubscription
from tests.integration.control_rows import approved, capture, keep, onlooker, propose, reviewer, rolled_back

OLD, NEW = "the-former-secret-of-this-test-0123456789", "the-present-secret-of-this-test-0123456789"
State = QuarantineItem.State


@pytest.fixture(autouse=True)
def _secrets() -> Iterator[None]:
    yield
    seal.configure(settings.MENDGATE.secret_key, settings.MENDGATE.secret_key_fallbacks)


def test_every_sealed_column_is_one_that_is_sealed_anew() -> None:
    binary = {(m, f.name) for m in apps.get_models() for f in m._meta.get_fields() if isinstance(f, models.BinaryField)}
    assert binary == set(resealing.SEALED)


def total(kind: str) -> int:
    return sum(getattr(each, kind) for each in resealing.held())


@pytest.mark.django_db
def test_after_resealing_the_old_secret_may_go() -> None:
    seal.configure(OLD)
    items = [keep(request=seal.seal(b"request"), claims=seal.seal(b"claims")) for _ in range(3)]
    SchemaSubscription.objects.create(name="x", channel="email", address=seal.seal(b"address"))
    seal.configure(NEW, (OLD,))
    assert (total("current"), total("older"), total("closed")) == (0, 10, 0)
    assert resealing.reseal(batch=2) == 10
    assert (total("current"), total("older"), total("closed")) == (10, 0, 0)
    seal.configure(NEW)
    for item in items:
        item.refresh_from_db()
        assert (seal.unseal(item.request), seal.unseal(item.claims)) == (b"request", b"claims")
    assert resealing.reseal() == 0


@pytest.mark.django_db
def test_what_no_secret_opens_is_counted_and_left_as_it_is() -> None:
    seal.configure("a-secret-that-was-lost-0123456789012345")
    item = keep(request=(closed := seal.seal(b"request")), claims=seal.seal(b"claims"))
    seal.configure(NEW, (OLD,))
    assert resealing.reseal() == 0
    assert total("closed") == 3  # its receipt, too
    item.refresh_from_db()
    assert bytes(item.request) == closed


@pytest.mark.django_db
def test_what_is_damaged_stays_and_is_in_nobodys_way() -> None:
    seal.configure(OLD)
    sound = seal.seal(b"request")
    keep(request=sound[:-1] + bytes([sound[-1] ^ 1]), claims=seal.seal(b"claims"))
    keep(request=(whole := seal.seal(b"request")), claims=seal.seal(b"claims"))
    seal.configure(NEW, (OLD,))
    assert resealing.reseal(batch=1) == 5  # of six
    assert (total("current"), total("older")) == (5, 1)
    assert whole not in [bytes(item.request) for item in QuarantineItem.objects.all()]


@pytest.mark.django_db
def test_a_page_whose_values_cannot_be_opened_says_so() -> None:
    seal.configure("a-secret-that-was-lost-0123456789012345")
    item, transaction = keep(), rolled_back("x")
    seal.configure(NEW)
    browser = Client()
    browser.force_login(onlooker())
    for name, pk in (("quarantineitem", item.pk), ("receipt", item.receipt), ("transactionlog", transaction.pk)):
        page = browser.get(reverse(f"admin:healing_{name}_change", args=[pk]))
        assert page.status_code == 409 and "Sealed with a secret that is not configured" in page.content.decode()
        assert browser.get(reverse(f"admin:healing_{name}_changelist")).status_code == 200


@pytest.mark.django_db
def test_after_a_restore_nothing_is_replayed_unasked() -> None:
    running = Replay.objects.create(asked_by="ann", why="approved")
    items = [keep(automatic=True), keep(replay=running), keep(state=State.REPLAYING), keep(), keep(state=State.PARKED, automatic=True)]
    Session.objects.create(session_key="k", session_data="", expire_date=timezone.now())
    done = restored.settle()
    assert (done.parked, done.paused, done.sessions) == (5, 1, 1)
    for item in items:
        item.refresh_from_db()
        assert item.state == "parked" and "restored from a backup" in item.why
    assert restored.settle().parked == 0


@pytest.mark.django_db
def test_after_a_restore_neither_a_schema_nor_an_approval_replays_what_may_have_landed() -> None:
    capture()
    former, by_itself = keep(), keep(automatic=True)
    restored.settle()
    later = keep()
    wake.wake("schema version 2")
    assert replay_orders.order_for_schema("public", "users", former.signature, "ann", "migration") is not None
    approved(propose(), reviewer())
    assert replay_orders.order_all_waiting(replay_orders.OPERATOR) is not None
    states = dict(QuarantineItem.objects.values_list("pk", "state"))
    assert (states[former.pk], states[by_itself.pk], states[later.pk]) == ("parked", "parked", "waiting")
    assert not QuarantineItem.objects.filter(pk__in=[former.pk, by_itself.pk], replay__isnull=False).exists()
    order = replay_orders.order_items([by_itself.pk], replay_orders.OPERATOR)  # somebody looked, and asks for it by its id
    by_itself.refresh_from_db()
    assert order is not None and (by_itself.replay, by_itself.state, by_itself.why) == (order, "waiting", "")
