"""What bounds the AI tier between two runs: the budget, and whose word counts for a proof."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from healing import approval
from healing.assist import budget, retention
from healing.assist.known import approved_before
from healing.assist.models import AssistRun
from tests.integration.control_rows import capture, keep, propose, reviewer

pytestmark = pytest.mark.django_db


def run(**facts: Any) -> AssistRun:
    """A finished asking."""
    given = {"schema": "public", "table": "users", "signature": "unknown_column:email", "state": "done", "verdict": "proposed",
             "asked": True, "cost": 0.01, "finished_at": timezone.now(), **facts}  # fmt: skip
    return AssistRun.objects.create(**given)


@pytest.mark.parametrize("waited", [timedelta(), timedelta(hours=5), timedelta(days=3)])
def test_calls_count_when_they_are_made_however_long_their_cause_had_waited(settings: Any, waited: timedelta) -> None:
    settings.ASSIST_CALLS_AN_HOUR = 3
    for _ in range(3):
        assert budget.spent() == ""
        run(created_at=timezone.now() - waited)
    assert "3 calls were made within the hour" in budget.spent()
    AssistRun.objects.update(finished_at=timezone.now() - timedelta(hours=2))
    assert budget.spent() == ""


@pytest.mark.parametrize("waited", [timedelta(), timedelta(days=3)])
def test_dollars_count_when_they_are_spent(settings: Any, waited: timedelta) -> None:
    settings.ASSIST_DOLLARS_A_DAY = 2.0
    run(cost=2.5, created_at=timezone.now() - waited)
    assert "$2.50 were spent" in budget.spent()
    AssistRun.objects.update(finished_at=timezone.now() - timedelta(days=2))
    assert budget.spent() == ""


def test_an_approval_speaks_for_the_columns_it_was_given_for_alone() -> None:
    capture()
    keep()
    rule = approval.approve(propose(), reviewer())
    bound = {"oid": rule.bound["oid"], "columns": rule.bound["columns"]}
    assert approved_before(run(bound=bound), rule.content_hash)
    another = {**bound, "columns": {name: attnum + 1 for name, attnum in bound["columns"].items()}}
    assert not approved_before(run(bound=another), rule.content_hash)
    assert not approved_before(run(bound={**bound, "oid": bound["oid"] + 1}), rule.content_hash)
    assert not approved_before(run(), rule.content_hash)


def test_old_askings_are_forgotten_but_for_the_newest_about_each_cause() -> None:
    old, older = timezone.now() - timedelta(days=500), timezone.now() - timedelta(days=600)
    gone, newest = run(finished_at=older), run(finished_at=old)
    recent, before = run(signature="other"), run(signature="other", finished_at=old)
    held = keep()
    landed = run(finished_at=older)
    type(held).objects.filter(pk=held.pk).update(assist=landed)
    assert retention.prune() == 2
    assert set(AssistRun.objects.all()) == {newest, recent, landed} and gone.pk != before.pk
