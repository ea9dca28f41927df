"""The optimization log: what it shows, its doors, and who may use them."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from optimizer import experiments, inforce, runs
from optimizer.core import picture
from optimizer.models import OptimizationRun, Proposal, Schedule, Setting
from tests.integration.control_rows import onlooker, reviewer
from tests.integration.optimizer_rows import open_batch

pytestmark = pytest.mark.django_db
LOG = "admin:optimizer_proposal_changelist"


@pytest.fixture
def rita(client: Client) -> Any:
    user = reviewer()
    client.force_login(user)
    return user


def page(client: Client, **query: str) -> str:
    answer = client.get(reverse(LOG), query)
    assert answer.status_code == 200
    return answer.content.decode()


def test_an_empty_log_says_what_will_come_and_runs_at_a_press(client: Client, rita: Any) -> None:
    assert "Nothing here yet" in page(client)
    client.post(reverse("admin:optimizer_run"), {"target": "rules"})
    run = OptimizationRun.objects.get()
    assert (run.target, run.reason, run.asked_by) == ("rules", "by hand", "rita")
    claimed = runs.claim(run)
    assert claimed is not None
    runs.carry_out(claimed)
    assert "0 rules demoted" in page(client)
    client.post(reverse("admin:optimizer_run"), {"target": "nonsense"})
    assert OptimizationRun.objects.count() == 1


def test_a_step_is_approved_tried_and_taken_back_on_the_page(client: Client, rita: Any) -> None:
    row = open_batch(timezone.now())
    assert "1 step waits for you" in page(client)
    decide = reverse("admin:optimizer_decide", args=[row.pk])
    client.post(decide, {"do": "approve"})
    row.refresh_from_db()
    assert row.state == "trying"
    text = page(client)
    assert "Being tried now" in text and "Take back" in text and "5%" in text
    client.post(decide, {"do": "back", "why": ""})
    row.refresh_from_db()
    assert row.state == "trying", "a reason is needed"
    client.post(decide, {"do": "back", "why": "not now"})
    row.refresh_from_db()
    assert row.state == "rolled back" and Setting.objects.get().trial is None
    assert "not now" in page(client) and "not now" in client.get(reverse("admin:optimizer_proposal_change", args=[row.pk])).content.decode()


def test_what_was_measured_stands_beside_what_was_expected_and_the_setting_over_time(client: Client, rita: Any) -> None:
    now = timezone.now()
    row = open_batch(now)
    inforce.put(inforce.setting_of("batch_rows"), 500.0, 400.0, who="optimizer", why="faster", now=now, proposal=row)
    measured = {"metric": "time of a write", "middle": 0.031, "low": 0.012, "high": 0.05, "unit": "share of it"}
    Proposal.objects.filter(pk=row.pk).update(state="adopted", measured=measured, measured_at=now)
    text = page(client)
    assert "+3.1% (+1.2% to +5.0%)" in text and "Rows in one insert statement" in text and 'class="mg-mark-kept"' in text
    assert "batch size" in text and "How well promises were kept" in text
    assert "adopted" in page(client, state="adopted") and "Batches smaller" not in page(client, state="open")


def test_who_may_only_look_changes_nothing(client: Client) -> None:
    row = open_batch(timezone.now())
    client.force_login(onlooker())
    text = page(client)
    assert "Run now" not in text and "Decide…" not in text
    for url in (reverse("admin:optimizer_run"), reverse("admin:optimizer_decide", args=[row.pk]), reverse("admin:optimizer_schedule")):
        assert client.post(url, {"do": "approve"}).status_code == 403
        assert client.get(url).status_code == 405
    assert not OptimizationRun.objects.exists() and Proposal.objects.get().state == "open"


def test_the_schedule_and_the_switch(client: Client, rita: Any) -> None:
    client.post(reverse("admin:optimizer_schedule"), {"weekday": "4", "hour": "22", "on": "on"})
    assert str(Schedule.objects.get()) == "Friday 22:00 UTC"
    client.post(reverse("admin:optimizer_schedule"), {"weekday": "9", "hour": "x"})
    assert str(Schedule.objects.get()) == "Friday 22:00 UTC"
    setting = inforce.setting_of("batch_rows")
    client.post(reverse("admin:optimizer_switch", args=[setting.pk]), {"automatic": "no"})
    assert not Setting.objects.get().automatic


def test_nonsense_ids_are_not_found(client: Client, rita: Any) -> None:
    for wrong in ("x", "1", "0" * 36, "00000000-0000-0000-0000-000000000000"):
        assert client.get(reverse("admin:optimizer_proposal_change", args=[wrong])).status_code == 404


def test_bars_hold_nought_and_every_end_and_steps_stay_in_their_frame() -> None:
    found = picture.pair(
        {"middle": -0.1, "low": -0.3, "high": 0.1, "unit": "share"}, {"middle": 0.2, "low": 0.1, "high": 0.5, "unit": "share"}
    )
    assert 0 < found.zero < 100 and found.measured is not None
    for bar in (found.expected, found.measured):
        assert bar.left >= 0 and bar.left + bar.width <= 100.5 and 0 <= bar.low <= bar.high <= 100
    line = picture.steps([(0.0, 5.0, "a", "before"), (50.0, 7.0, "b", "kept"), (400.0, 7.0, "c", "back")], 0.0, 100.0)
    assert all(0 <= mark.x <= picture.WIDTH and 0 <= mark.y <= picture.HEIGHT for mark in line.marks)


def test_a_run_of_experiments_is_looked_at_without_any_metrics() -> None:
    now = timezone.now()
    experiments.begin(open_batch(now), now)
    assert experiments.look(now + timedelta(minutes=1)) == []
