"""Runs: one at a time, resumable, idempotent; what each step finds in real rows; the command, the schedule, the triggers."""

from __future__ import annotations

from datetime import timedelta
from importlib import import_module
from io import StringIO
from typing import Any

import pytest
from django.apps import apps
from django.core.management import CommandError, call_command
from django.utils import timezone

from breakers.models import AiCall, BreakerConfig, BreakerConfigVersion
from healing import approval
from healing import rules as rule_life
from healing.assist.models import AssistRun, Prompt
from healing.checked_fix import content_hash, parsed
from healing.models import Proposal as Fix
from healing.models import QuarantineItem, Rule
from metrics.models import Trigger
from optimizer import decisions, experiments, jobs, runs, schedule, steps
from optimizer import propose as propose_row
from optimizer.core.idea import Expected, Idea
from optimizer.models import Experiment, OptimizationRun, Proposal, Schedule, Setting
from schema_monitor.models import SchemaVersion
from schema_monitor.monitor_models import MonitorState
from tests.integration.control_rows import DROP, RENAME, USERS, capture, keep, propose, reviewer

pytestmark = pytest.mark.django_db
HASH = content_hash(parsed(RENAME))


@pytest.fixture(autouse=True)
def first_version() -> None:
    """It comes by a migration; a test before this one may have emptied the tables."""
    import_module("healing.migrations.0006_first_prompt").put_in(apps, None)


def run(target: str = "rules") -> OptimizationRun:
    asked, _ = runs.ask(target, "by hand", rings=False)
    claimed = runs.claim(asked)
    assert claimed is not None
    return runs.carry_out(claimed)


def active(**more: Any) -> Rule:
    capture()
    rule = approval.approve(propose(), reviewer())
    Rule.objects.filter(pk=rule.pk).update(**more)
    return rule


def found_by_ai(landed: int = 3) -> None:
    """An AI found the same fix so often, and each time a write landed with it."""
    fix = propose(source="ai")
    for _ in range(landed):
        done = AssistRun.objects.create(
            schema="public", table="users", signature="unknown_column:email", state="done", verdict="proven", asked=True,
            content_hash=HASH, fix=RENAME, proposal=fix, finished_at=timezone.now(),
        )  # fmt: skip
        keep(state="replayed", assist=done)


def test_a_run_ends_with_every_step_done_and_a_second_one_finds_nothing_new() -> None:
    capture()
    found_by_ai()
    first = run("all")
    assert first.state == "done" and set(first.done) == set(first.steps) and first.progress == 1.0
    assert not [said for said in first.done.values() if said.startswith("broke")]
    assert first.found == 1
    assert run("all").found == 0


def test_one_run_at_a_time_per_target_and_other_targets_beside_it() -> None:
    first, new = runs.ask("rules", "by hand", rings=False)
    again, newer = runs.ask("rules", "trigger", rings=False)
    other, newest = runs.ask("writes", "by hand", rings=False)
    assert (new, newer, newest) == (True, False, True)
    assert again == first != other
    assert runs.claim(first) is not None and runs.claim(first) is None


def test_a_run_whose_worker_died_goes_on_where_it_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []
    for name, (part, _) in steps.STEPS.items():
        monkeypatch.setitem(steps.STEPS, name, (part, lambda run, now, name=name: seen.append(name) or name))  # type: ignore[func-returns-value]
    asked, _ = runs.ask("rules", "by hand", rings=False)
    claimed = runs.claim(asked)
    assert claimed is not None
    runs._step(claimed, "follow", timezone.now())
    assert runs.claim(asked) is None, "its lease holds"
    taken = runs.claim(asked, now=timezone.now() + runs.LEASE + timedelta(seconds=1))
    assert taken is not None
    assert runs.carry_out(taken).state == "done"
    assert seen == steps.steps_of("rules")


def test_a_step_that_breaks_is_noted_and_the_others_are_done(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(run: OptimizationRun, now: Any) -> str:
        raise ZeroDivisionError("no")

    monkeypatch.setitem(steps.STEPS, "merging rules", ("rules", broken))
    found_by_ai()
    ended = run()
    assert ended.done["merging rules"] == "broke: ZeroDivisionError: no"
    assert ended.state == "done" and ended.found == 1


def test_a_run_that_never_ends_is_given_up() -> None:
    asked, _ = runs.ask("rules", "by hand", rings=False)
    now = timezone.now()
    for attempt in range(3):
        assert runs.claim(asked, now=now + (runs.LEASE * 2) * attempt) is not None
    assert runs.claim(asked, now=now + runs.LEASE * 8) is None
    asked.refresh_from_db()
    assert asked.state == "failed"


def test_one_reversal_demotes_a_rule_at_once() -> None:
    rule = active(successes=500, reversals=1)
    run()
    rule.refresh_from_db()
    assert rule.state == "demoted" and "one is enough" in rule.why
    proposal = Proposal.objects.get(kind="demote")
    assert proposal.state == "adopted" and proposal.expected["low"] > 0


def test_a_rule_that_a_person_approved_again_after_a_reversal_is_left_alone() -> None:
    rule = active(successes=500)
    rule_life.count_reversal([str(rule.pk)], "a write that it healed was called wrong")
    approval.approve(Fix.objects.get(), reviewer("sam"), "the sender was mistaken")
    run()
    rule.refresh_from_db()
    assert (rule.state, rule.reversals, rule.reversals_known) == ("active", 1, 1)


def test_a_fix_that_an_ai_keeps_finding_stands_in_the_review_queue_and_is_measured_when_it_is_a_rule() -> None:
    capture()
    found_by_ai(3)
    run()
    fix = Fix.objects.get()
    assert fix.evidence["optimizer"]["landed"] == 3 and not fix.evidence["optimizer"]["certifiable"]
    assert any("3 times" in each for each in fix.evidence["for"])
    rule = approval.approve(fix, reviewer())
    Rule.objects.filter(pk=rule.pk).update(successes=14)
    run()
    run()
    proposal = Proposal.objects.get(kind="rule")
    assert proposal.state == "adopted" and proposal.measured is not None and proposal.measured["middle"] == 98.0


def test_a_rule_that_the_backtest_speaks_against_is_stopped_and_not_offered_again_soon() -> None:
    capture()
    found_by_ai(3)
    AssistRun.objects.update(fix=[{"op": "rename_column", "from": "email", "to": "gone"}])
    Fix.objects.update(fix=[{"op": "rename_column", "from": "email", "to": "gone"}])
    run()
    run()
    proposal = Proposal.objects.get(kind="rule")
    assert proposal.state == "stopped" and "gone" in proposal.why
    assert "optimizer" not in Fix.objects.get().evidence


def test_a_fix_that_was_taken_back_once_is_not_proposed() -> None:
    from healing.models import Receipt

    found_by_ai(5)
    Receipt.objects.filter(quarantine=QuarantineItem.objects.first().pk).update(outcome="undone")  # type: ignore[union-attr]
    run()
    assert not Proposal.objects.filter(kind="rule").exists()


def test_common_causes_are_proposed_once_and_settled_when_their_writes_have_landed() -> None:
    for _ in range(6):
        keep(signature="unknown_column:metadata", shape={"metadata": "object"})
    run()
    proposal = Proposal.objects.get(kind="cause")
    assert (proposal.new, proposal.evidence["types"]) == ("ddl", {"object": 6})
    QuarantineItem.objects.update(state="replayed")
    run()
    proposal.refresh_from_db()
    assert proposal.state == "settled" and proposal.measured is not None and proposal.measured["middle"] == 6.0


def test_a_merge_makes_a_bound_rule_for_each_table_that_it_fits() -> None:
    from msgspec.structs import replace

    tables = [replace(USERS, oid=100 + n, name=name) for n, name in enumerate(("a", "b", "c", "d"))]
    capture(*tables)
    rita = reviewer()
    for relation in tables[:3]:
        approval.approve(propose(table=relation.name), rita)
    for name in ("d", "gone"):
        keep(table=name)
    run()
    merge = Proposal.objects.get(kind="merge")
    assert merge.new == "d, gone"
    assert "1 rules are active" in decisions.approve(merge, rita)
    rule = Rule.objects.get(table="d")
    assert rule.state == "active" and rule.bound["oid"] == 103 and rule.approved_by == rita


def test_a_merge_of_what_loses_something_is_decided_table_by_table() -> None:
    from msgspec.structs import replace

    capture(*(replace(USERS, oid=100 + n, name=name) for n, name in enumerate(("a", "b", "c", "d"))))
    rita = reviewer()
    for name in ("a", "b", "c"):
        approval.approve(propose(DROP, table=name), rita)
    keep(table="d")
    run()
    assert "0 rules are active" in decisions.approve(Proposal.objects.get(kind="merge"), rita)
    assert Fix.objects.get(table="d").state == "open" and not Rule.objects.filter(table="d").exists()


def breaker_step(new: float) -> Proposal:
    row = BreakerConfig.objects.create(name="ai:acme", failure_threshold=20, failure_rate=0.5, minimum_calls=20, timeout=10.0)
    BreakerConfigVersion.objects.create(config=row, version=row.version, settings=row.settings(), who="code")
    expected = Expected("failures spared per 1,000 calls", 1.0, 0.5, 2.0, "failures")
    step = {"kind": "breaker", "proposer": "breaker replay", "name": "failure_threshold", "place": "ai:acme", "old": 20.0, "new": new}
    row_of_it = propose_row.store(Idea(**step, sentence="Sooner.", expected=expected), None)
    assert row_of_it is not None
    return row_of_it


@pytest.mark.parametrize("new", [1.0, 10.0, 25.0])
def test_a_breaker_step_beyond_its_bounds_or_a_fifth_is_stopped_whoever_says_yes(new: float) -> None:
    proposal = breaker_step(new)
    assert "no step of at most 20%" in decisions.approve(proposal, reviewer())
    assert BreakerConfig.objects.get().failure_threshold == 20 and not Experiment.objects.exists()


def test_a_step_in_force_of_which_nothing_is_measured_is_taken_back_after_two_weeks() -> None:
    now = timezone.now()
    decisions.approve(breaker_step(16.0), reviewer(), now=now)
    assert BreakerConfig.objects.get().failure_threshold == 16
    for days in (8, 13):
        assert experiments.look(now + timedelta(days=days)) == []
    assert [e.state for e in experiments.look(now + timedelta(days=15))] == ["reverted"]
    assert BreakerConfig.objects.get().failure_threshold == 20
    assert "nothing could be measured" in Proposal.objects.get(kind="breaker").why.lower()


@pytest.mark.usefixtures("postgres")
@pytest.mark.parametrize(("cause", "ends"), [("in_band", "reverted"), ("listen", "promoted")])
def test_rarer_looks_that_come_too_late_for_a_change_are_taken_back(cause: str, ends: str) -> None:
    now = timezone.now() - timedelta(days=8)
    MonitorState.objects.create(detector="listen")
    expected = Expected("share of a core", 0.001, 0.0, 0.002)
    facts = {"kind": "setting", "proposer": "watching", "name": "watch_seconds", "old": 1.0, "new": 1.2}
    step = propose_row.store(Idea(**facts, sentence="Rarer.", expected=expected), None, now)
    assert step is not None and experiments.begin(step, now) is not None
    assert experiments.look(now + timedelta(days=1)) == []
    version = SchemaVersion.objects.create(epoch=1, scope={}, fingerprint="x", cause=cause)
    SchemaVersion.objects.filter(pk=version.pk).update(taken_at=now + timedelta(days=2))
    assert [e.state for e in experiments.look(timezone.now())] == [ends]
    step.refresh_from_db()
    assert step.measured is not None and step.measured["metric"] == "share of a core"


def test_a_breaker_step_waits_for_a_person_then_is_in_force_and_can_be_taken_back() -> None:
    row = BreakerConfig.objects.create(name="ai:acme", failure_threshold=20, failure_rate=0.5, minimum_calls=20, timeout=10.0)
    BreakerConfigVersion.objects.create(config=row, version=row.version, settings=row.settings(), who="code")
    now = timezone.now()
    bad, good = ({"provider": "acme", "outcome": word, "seconds": took} for word, took in (("failed", 30.0), ("ok", 0.4)))
    AiCall.objects.bulk_create(
        AiCall(
            at=now - timedelta(seconds=3600 - second), endpoint="chat/completions", status=200, outcome="ok",
            attempts=[bad if second % 600 >= 480 else good],
        )
        for second in range(3600)
    )  # fmt: skip
    run("breakers")
    proposal = Proposal.objects.get(kind="breaker")
    assert proposal.state == "open" and proposal.expected["low"] > 0
    rita = reviewer()
    assert decisions.approve(proposal, rita) == "It is being tried."
    row.refresh_from_db()
    assert getattr(row, proposal.name) == proposal.new and row.versions.count() == 2
    proposal.refresh_from_db()
    decisions.roll_back(proposal, rita, "too eager")
    row.refresh_from_db()
    assert getattr(row, proposal.name) == proposal.old


def test_a_prompt_with_examples_is_written_and_tried_on_a_part_of_the_causes() -> None:
    from healing.assist import prompts

    rita = reviewer()
    for n in range(6):
        state = "approved" if n % 2 else "rejected"
        fix = [{"op": "rename_column", "from": f"k{n}", "to": "email_address"}]
        propose(fix, signature=f"unknown_column:k{n}", state=state, decided_by=rita, decided_at=timezone.now())
    run("ai")
    run("ai")
    proposal = Proposal.objects.get(kind="prompt")
    second = Prompt.objects.get(version=2)
    assert not second.active and "k5" in second.system and proposal.new == second.pk
    assert {prompts.for_cause(f"cause {n}") for n in range(50)} == {Prompt.objects.get(version=1)}
    decisions.approve(proposal, rita)
    Setting.objects.filter(name="prompt").update(trial={**Setting.objects.get(name="prompt").trial, "share": 0.5})  # type: ignore[dict-item]
    asked = [prompts.for_cause(f"cause {n}") for n in range(200)]
    assert asked == [prompts.for_cause(f"cause {n}") for n in range(200)], "a cause keeps its version"
    assert 60 < sum(each == second for each in asked) < 140
    decisions.roll_back(Proposal.objects.get(kind="prompt"), rita, "enough")
    assert {prompts.for_cause(f"cause {n}") for n in range(50)} == {Prompt.objects.get(version=1)}


def test_what_a_person_said_no_to_is_not_proposed_again() -> None:
    for _ in range(6):
        keep(signature="unknown_column:metadata")
    run()
    proposal = Proposal.objects.get(kind="cause")
    decisions.reject(proposal, reviewer(), "those callers are gone")
    run()
    assert Proposal.objects.filter(kind="cause").count() == 1


def test_the_command_shows_progress_and_refuses_beside_a_run() -> None:
    out = StringIO()
    call_command("optimize", "--target", "rules", stdout=out)
    assert "[5/5] common failures: 0 common causes" in out.getvalue() and "done: 0 new proposals" in out.getvalue()
    held, _ = runs.ask("rules", "by hand", rings=False)
    assert runs.claim(held) is not None
    with pytest.raises(CommandError, match="under way"):
        call_command("optimize", "--target", "rules", stdout=out)


def test_the_week_s_run_is_asked_for_once_and_its_hour_can_be_set() -> None:
    monday = timezone.now().replace(year=2026, month=1, day=5, hour=2, minute=0, second=0, microsecond=0)
    assert schedule.ask_due(monday) == [], "a fresh installation waits for its hour"
    assert [r.reason for r in schedule.ask_due(monday + timedelta(hours=1, minutes=5))] == ["schedule"]
    assert schedule.ask_due(monday + timedelta(hours=2)) == []
    schedule.change(3, 12, False, reviewer())
    OptimizationRun.objects.all().delete()
    assert schedule.ask_due(monday + timedelta(days=8)) == []
    assert str(Schedule.objects.get()) == "off"


def test_a_trigger_asks_for_what_may_help_and_rests_for_six_hours() -> None:
    now = timezone.now()
    Trigger.objects.create(name="ai_fix_rate", sentence="40 % of fixes need the AI.")
    schedule.ask_due(now)
    asked = OptimizationRun.objects.get()
    assert (asked.target, asked.reason, asked.asked_by) == ("rules", "trigger", "40 % of fixes need the AI.")
    runs.carry_out(runs.claim(asked) or asked)
    schedule.ask_due(now + timedelta(hours=5))
    assert OptimizationRun.objects.count() == 1


def test_a_look_does_everything_that_is_due() -> None:
    asked, _ = runs.ask("rules", "by hand", rings=False)
    jobs.look()
    asked.refresh_from_db()
    assert asked.state == "done"
    assert not Experiment.objects.exists() and experiments.look(timezone.now()) == []
