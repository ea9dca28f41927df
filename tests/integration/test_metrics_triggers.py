"""Triggers as rows: they begin once, last, end, and are told of once."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from metrics import triggers
from metrics.core.triggers import Finding
from metrics.models import Flush, Threshold, Trigger

pytestmark = pytest.mark.django_db
FOUND = Finding("breaker_trips", "ai:x", "Breaker ai:x opened 5 times within an hour.", {"openings": 5})


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Trigger]:
    told: list[Trigger] = []
    monkeypatch.setattr(triggers, "_listeners", [lambda firing, begun: told.extend(begun)])
    return told


def test_a_trigger_that_goes_on_is_one_row_and_told_of_once(told: list[Trigger]):
    now = timezone.now()
    for minute in range(5):
        triggers.remember([FOUND], now + timedelta(minutes=minute))
    row = Trigger.objects.get()
    assert row.since == now and row.seen == now + timedelta(minutes=4) and row.ended is None and told == [row]


def test_it_ends_after_a_quiet_while_and_may_begin_anew(told: list[Trigger]):
    now = timezone.now()
    triggers.remember([FOUND], now)
    triggers.remember([], now + timedelta(minutes=5))
    assert Trigger.objects.get().ended is None, "it may flicker"
    triggers.remember([], now + timedelta(minutes=11))
    assert Trigger.objects.get().ended is not None
    triggers.remember([FOUND], now + timedelta(minutes=12))
    assert Trigger.objects.count() == 2 and len(told) == 2


def test_a_look_reads_the_figures_and_the_thresholds_of_people(told: list[Trigger]):
    body = {"counters": [[["mendgate_breaker_transitions_total", "ai:x", "open"], 3]], "sketches": []}
    Flush.objects.create(boot="00000000-0000-0000-0000-000000000001", number=0, body=body)
    assert triggers.look(timezone.now() + timedelta(seconds=1)) == []
    Threshold.objects.create(name="breaker_trips", bound=3, least=1)
    begun = triggers.look(timezone.now() + timedelta(seconds=1))
    assert [(row.name, row.about) for row in begun] == [("breaker_trips", "ai:x")] and told == begun
    Threshold.objects.update(on=False)
    assert triggers.look(timezone.now() + timedelta(seconds=2)) == []
