"""What the control plane tells the metrics: decisions of people, reversals, schema changes; after the commit, or not at all."""

from __future__ import annotations

import pytest
from django.db import transaction

from breakers import events
from healing import audit, observed
from healing.feedback import give_feedback
from healing.models import Receipt
from metrics.core.observation import BreakerMoved, Decided, Observation, Reversed, SchemaMoved
from schema_monitor.models import SchemaChange, SchemaVersion

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.usefixtures("postgres")]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[Observation]:
    found: list[Observation] = []
    monkeypatch.setattr(observed, "observe", found.append)
    return found


def test_a_decision_of_a_person_is_an_intervention_and_one_of_ours_is_not(seen: list[Observation]):
    audit.record("ann", "approve", "proposal", "1")
    audit.record("mendgate", "retire", "rule", "2")
    assert seen == [Decided("proposal", "approve")]


def test_what_is_rolled_back_is_not_told(seen: list[Observation]):
    with transaction.atomic():
        audit.record("ann", "approve", "proposal", "1")
        transaction.set_rollback(True)
    assert seen == []


def test_a_heal_called_wrong_is_told_once(seen: list[Observation]):
    receipt = Receipt.objects.create(
        outcome="committed", schema="public", table="users", operation="insert", fixes=[{"op": "cast", "source": "person", "rule": None}]
    )
    give_feedback(receipt, False, "no")
    give_feedback(Receipt.objects.get(pk=receipt.pk), False, "no!")
    assert seen == [Reversed("public.users", "person", "feedback")]


def test_changes_of_a_version_are_told_by_severity(seen: list[Observation]):
    with transaction.atomic():
        version = SchemaVersion.objects.create(epoch=2, scope={}, fingerprint="x", cause="watcher")
        for severity in ("critical", "info", "info"):
            SchemaChange.objects.create(version=version, kind="x", severity=severity, schema="public", relation="a", sentence="s")
        assert seen == []
    assert sorted(seen, key=str) == [SchemaMoved("critical", 1), SchemaMoved("info", 2)]


def test_a_breakers_event_is_told_when_it_is_new(seen: list[Observation], monkeypatch: pytest.MonkeyPatch):
    opened = {"name": "ai:x", "before": "closed", "after": "open", "why": "{}"}
    note = {"name": "ai:x", "before": "shadow", "after": "shadow", "why": "{}"}
    alone = {**opened, "scope": "local"}
    assert events._keep([("1700000000000-0", opened), ("1700000000001-0", note), ("1700000000002-0", alone)]) == 3
    assert events._keep([("1700000000000-0", opened)]) == 0
    assert seen == [BreakerMoved("ai:x", "open")]


@pytest.mark.parametrize(("rule", "source"), [("0192f7c4-0000-7000-8000-000000000001", "learned"), (None, "ai")])
def test_what_an_ai_proposed_and_a_person_approved_is_counted_for_the_rule(seen: list[Observation], rule: str | None, source: str):
    receipt = Receipt.objects.create(
        outcome="committed", schema="public", table="users", operation="insert", fixes=[{"op": "cast", "source": "ai", "rule": rule}]
    )
    give_feedback(receipt, False, "no")
    assert seen == [Reversed("public.users", source, "feedback")]
