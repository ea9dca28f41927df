"""Alerts go through a breaker for each destination: what is down is left alone, and nothing is lost by it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from breakers import registry
from breakers.core.types import State
from healing import alert_gates
from schema_monitor.alerts import gates
from schema_monitor.alerts.gates import Held
from schema_monitor.alerts.jobs import deliver
from schema_monitor.alerts.models import AlertDelivery, AlertMessage
from tests.integration.alert_rows import ADDED, REMOVED, RENAMED, due_now, stored, subscribed
from tests.integration.far_end import Answer, FarEnd, listening

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("postgres")]


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[registry.Registry]:
    """Breakers of this test alone."""
    mine = registry.Registry()
    monkeypatch.setattr(registry, "get", mine.get)
    monkeypatch.setattr(alert_gates, "HEARSAY", 0.0)
    gates.configure(alert_gates.ask)
    yield mine
    mine.close()


@pytest.fixture
def far() -> Iterator[FarEnd]:
    with listening() as far:
        yield far


def breaker(own: registry.Registry, far: FarEnd) -> registry.Breaker:
    return own.get(f"webhooks:127.0.0.1:{far.server.server_port}")


def test_a_webhook_that_is_broken_is_left_alone_by_all_who_write_to_it_and_gets_all_of_it_later(
    far: FarEnd, own_registry: registry.Registry
) -> None:
    for number in range(3):
        subscribed(far.url, name=f"hook {number}")
    far.answers.extend([Answer(500)] * 30)
    stored(RENAMED, REMOVED, ADDED)
    deliver()
    due_now(*AlertMessage.objects.all())
    deliver()
    assert breaker(own_registry, far).view().state == "open"
    asked = len(far.heard)
    assert asked < 9, "nobody asked it for the rest"
    held = AlertMessage.objects.filter(last_error__startswith="Breaker webhooks:127.0.0.1")
    assert held.exists()
    assert set(held.values_list("state", flat=True)) == {"waiting"}
    assert all(message.attempts <= 2 for message in AlertMessage.objects.all()), "what was held back lost no attempt"
    assert AlertDelivery.objects.count() == asked, "each delivery was a real one"
    far.answers.clear()
    breaker(own_registry, far).decree(None, "")
    breaker(own_registry, far)._machine.until = 0.0  # its time is over
    breaker(own_registry, far)._reflect(breaker(own_registry, far)._clock())
    for _ in range(4):
        due_now(*AlertMessage.objects.exclude(state="delivered"))
        deliver()
    assert set(AlertMessage.objects.values_list("state", flat=True)) == {"delivered"}
    assert breaker(own_registry, far).view().state == "closed"


@pytest.mark.parametrize("answer", [Answer(404), Answer(401), Answer(410)], ids=["no such page", "not allowed", "gone"])
def test_a_destination_that_refuses_a_message_is_well(far: FarEnd, own_registry: registry.Registry, answer: Answer) -> None:
    subscribed(far.url)
    far.answers.extend([answer] * 20)
    for epoch in range(2, 10):
        stored(RENAMED, epoch=epoch)
        due_now(*AlertMessage.objects.all())
        deliver()
    view = breaker(own_registry, far).view()
    assert (view.state, view.failures) == ("closed", 0)


def test_another_host_is_not_held_back(far: FarEnd, own_registry: registry.Registry) -> None:
    with listening() as well:
        subscribed(far.url, name="broken")
        subscribed(well.url, name="well")
        far.answers.extend([Answer(cut=True)] * 20)
        for epoch in range(2, 8):
            stored(RENAMED, epoch=epoch)
            due_now(*AlertMessage.objects.filter(state="waiting"))
            deliver()
        assert breaker(own_registry, far).view().state == "open"
        assert len(well.heard) == 6


def test_a_breaker_that_is_out_of_order_holds_nothing_back(far: FarEnd, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise RuntimeError("out of order")

    monkeypatch.setattr(registry, "get", broken)
    subscribed(far.url)
    stored(RENAMED)
    assert deliver() == 1
    assert len(far.heard) == 1


def test_a_gate_that_holds_back_says_why_and_for_how_long(own_registry: registry.Registry) -> None:
    own_registry.get("alerts:slack", **alert_gates.SETTINGS).decree(State.FORCED_OPEN, "Slack is being moved.")
    held = alert_gates.ask("alerts:slack")
    assert isinstance(held, Held)
    assert "alerts:slack is forced open" in held.why
    assert held.pause.total_seconds() >= 1
