"""A secret rotates without anybody being interrupted; what may have happened since a backup does not happen again by itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.apps import apps
from django.conf import settings
from django.contrib.sessions.models import Session
from django.db import models
from django.utils import timezone

from healing import resealing, restored
from healing.gateway import seal
from healing.models import QuarantineItem, Replay
from schema_monitor.alerts.models import SchemaSubscription
from tests.integration.control_rows import keep

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
def test_after_a_restore_nothing_is_replayed_unasked() -> None:
    running = Replay.objects.create(asked_by="ann", why="approved")
    by_itself, ordered, cut, asks = keep(automatic=True), keep(replay=running), keep(state=State.REPLAYING), keep()
    Session.objects.create(session_key="k", session_data="", expire_date=timezone.now())
    done = restored.settle()
    assert (done.parked, done.paused, done.sessions) == (3, 1, 1)
    for item, state in ((by_itself, "parked"), (ordered, "parked"), (cut, "parked"), (asks, "waiting")):
        item.refresh_from_db()
        assert item.state == state
    assert "restored from a backup" in by_itself.why
    assert restored.settle().parked == 0
