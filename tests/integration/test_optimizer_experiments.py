"""Changes on their way into force, over a fast clock and real rows: promoted, rolled back, expired, barred."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import msgspec
import pytest
from django.db import DatabaseError, connection, transaction

from healing.core.tuned import Trial, Tuned
from healing.gateway import tuned
from healing.models import Decision as Audit
from metrics.models import Trigger
from optimizer import decisions, experiments, inforce, propose
from optimizer.core.idea import Expected, Idea
from optimizer.models import Bar, Decision, Experiment, Proposal, Revision, Setting
from tests.integration.control_rows import onlooker, reviewer
from tests.integration.optimizer_rows import START, open_batch, write_minutes

pytestmark = pytest.mark.django_db
STEP = timedelta(hours=3)


def begun(now: datetime = START) -> Experiment:
    experiment = experiments.begin(open_batch(now), now)
    assert experiment is not None
    return experiment


def go_on(experiment: Experiment, hours: int, *, slower: float, jitter: float = 0.02) -> datetime:
    """Traffic and looks every three hours until it ends, or for so long."""
    now = START
    while now < START + timedelta(hours=hours):
        Experiment.objects.filter(pk=experiment.pk).update(until=now + STEP * 2)
        experiment.setting.refresh_from_db()
        trial = experiment.setting.trial
        Setting.objects.filter(pk=experiment.setting_id).update(trial={**trial, "until": (now + STEP * 2).timestamp()})
        write_minutes(experiment.setting, now, now + STEP, slower=slower, jitter=jitter)
        now += STEP
        experiments.look(now + timedelta(minutes=3))
        experiment.refresh_from_db()
        if experiment.state != "running":
            break
    return now


def test_a_step_that_does_no_harm_is_promoted_by_way_of_the_ramp() -> None:
    experiment = begun()
    go_on(experiment, 60, slower=0.97)
    assert (experiment.state, experiment.stage) == ("promoted", 2)
    setting = Setting.objects.get()
    assert (setting.value, setting.trial) == (400.0, None)
    assert [(r.number, r.value) for r in Revision.objects.order_by("number")] == [(1, 500.0), (2, 400.0)]
    proposal = Proposal.objects.get()
    assert proposal.state == "adopted" and proposal.measured is not None
    assert 0.0 < proposal.measured["low"] < 0.03 < proposal.measured["high"]
    assert [d.action for d in Decision.objects.order_by("id")] == ["try", "promote"]


def test_a_harmful_batch_size_is_rolled_back_and_its_direction_rests_for_four_weeks() -> None:
    experiment = begun()
    ended = go_on(experiment, 60, slower=1.4)
    assert experiment.state == "reverted" and "harm" in experiment.why
    assert Setting.objects.get().trial is None and inforce.value_of(Setting.objects.get()) == 500.0
    assert Proposal.objects.get().state == "rolled back"
    again = open_batch(ended)
    assert experiments.begin(again, ended) is None
    again.refresh_from_db()
    assert again.state == "stopped" and "barred" in again.why
    later = Bar.objects.get().until
    assert experiments.begin(open_batch(later), later) is not None


def test_without_telemetry_processes_go_back_by_themselves_and_the_row_follows() -> None:
    experiment = begun()
    trial = msgspec.convert(Setting.objects.get().trial, Trial)
    ends = trial.until
    live = tuned.Live(clock=lambda: ends + 1)
    live.adopt([{"name": "batch_rows", "place": "", "value": None, "trial": msgspec.json.encode(trial).decode()}])
    assert live.number("batch_rows", 500.0) == 500.0
    assert experiments.look(START + timedelta(minutes=30)) == []
    now = datetime.fromtimestamp(ends, START.tzinfo) + timedelta(seconds=1)
    assert experiments.look(now) == [experiment]
    experiment.refresh_from_db()
    assert experiment.state == "reverted" and "lease" in experiment.why


@pytest.mark.parametrize("alarm", ["burn", "schema"])
def test_an_alarm_calls_it_off(alarm: str) -> None:
    from schema_monitor.models import SchemaChange, SchemaVersion

    experiment = begun()
    at = START + timedelta(minutes=5)
    if alarm == "burn":
        Trigger.objects.create(name="burn_rate", about="14.4×", sentence="The budget burns 15 times too fast.", since=at)
    else:
        version = SchemaVersion.objects.create(epoch=9, scope={}, fingerprint="x", cause="watcher")
        SchemaVersion.objects.filter(pk=version.pk).update(taken_at=at)
        SchemaChange.objects.create(version=version, kind="x", severity="critical", schema="public", relation="t", sentence="t is gone.")
    experiments.look(START + timedelta(minutes=6))
    experiment.refresh_from_db()
    assert experiment.state == "reverted" and ("budget" in experiment.why or "t is gone" in experiment.why)


def test_what_was_promoted_is_taken_back_on_an_alarm_within_a_day() -> None:
    experiment = begun()
    ended = go_on(experiment, 60, slower=0.97)
    Trigger.objects.create(name="burn_rate", about="14.4×", sentence="It burns.", since=ended + timedelta(hours=2))
    assert experiments.watch_adopted(ended + timedelta(hours=3)) == 1
    setting = Setting.objects.get()
    assert setting.value == 500.0 and setting.revision is not None and setting.revision.number == 1


def test_an_experiment_that_cannot_be_read_keeps_no_other_from_being_looked_at() -> None:
    broken = begun()
    expected = Expected("requests answered", 0.1, 0.0, 0.2)
    facts = {"kind": "setting", "proposer": "retry budget", "name": "ai_retry_ratio", "sentence": "Fewer.", "expected": expected}
    old = inforce.value_of(inforce.setting_of("ai_retry_ratio"))
    other = propose.store(Idea(**facts, old=old, new=old * 0.9), None, START)
    assert other is not None and experiments.begin(other, START) is not None
    Setting.objects.filter(pk=broken.setting_id).update(trial={"value": []})
    assert [e.proposal_id for e in experiments.look(START + timedelta(days=3))] == [other.pk]


def test_two_experiments_of_one_group_are_never_open() -> None:
    begun()
    other = open_batch(START, new=600.0)
    assert experiments.begin(other, START) is None
    other.refresh_from_db()
    assert "another experiment on writes is open" in other.why


def test_a_step_beyond_the_guardrails_is_stopped_before_it_is_tried() -> None:
    wild = open_batch(START, new=2000.0)
    assert experiments.begin(wild, START) is None
    wild.refresh_from_db()
    assert wild.state == "stopped" and "no step of at most 20%" in wild.why and not Experiment.objects.exists()


def test_a_word_that_was_rolled_back_rests_too() -> None:
    def idea() -> Proposal:
        expected = Expected("statements spared", 0.1, 0.0, 0.2)
        facts = {"kind": "setting", "proposer": "transactions", "name": "transactions", "place": "public.t", "old": "together"}
        row = propose.store(Idea(**facts, new="alone", sentence="Alone.", expected=expected), None, START)
        assert row is not None
        return row

    first = idea()
    assert experiments.begin(first, START) is not None
    assert experiments.roll_back(first, START, who="rita", why="slower")
    assert experiments.hindered("transactions", "public.t", "together", "alone", START)
    again = idea()
    assert experiments.begin(again, START + timedelta(days=27)) is None
    again.refresh_from_db()
    assert again.state == "stopped" and "barred" in again.why
    assert experiments.begin(idea(), START + timedelta(days=29)) is not None


def test_the_pointer_moves_only_from_where_it_was_and_revisions_never_change() -> None:
    setting = inforce.setting_of("batch_rows")
    first = inforce.put(setting, 500.0, 400.0, who="a", why="", now=START)
    with pytest.raises(inforce.Meanwhile):
        inforce.put(setting, 500.0, 600.0, who="b", why="", now=START)
    second = inforce.put(setting, 400.0, 450.0, who="b", why="", now=START)
    assert not inforce.back(first, who="a", why="too late: a newer one is in force")
    assert inforce.back(second, who="b", why="")
    assert inforce.value_of(inforce.setting_of("batch_rows")) == 400.0
    for broken in ("UPDATE optimizer_revision SET who = 'x'", "DELETE FROM optimizer_revision"):
        with pytest.raises(DatabaseError, match="append-only"), transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(broken)


def test_a_person_takes_a_change_back_with_a_reason_and_only_with_the_right(django_user_model: Any) -> None:
    from healing.refusals import NeedsReason, NotAllowed

    experiment = begun()
    proposal = experiment.proposal
    with pytest.raises(NotAllowed):
        decisions.roll_back(proposal, onlooker(), "no", START)
    rita = reviewer()
    with pytest.raises(NeedsReason):
        decisions.roll_back(proposal, rita, " ", START)
    decisions.roll_back(proposal, rita, "a release is on", START)
    proposal.refresh_from_db()
    assert proposal.state == "rolled back" and Setting.objects.get().trial is None
    assert Audit.objects.get(kind="tuning").who == "rita"


def test_a_gateway_reads_the_row_as_the_optimizer_writes_it() -> None:
    experiment = begun()
    with connection.cursor() as cursor:
        cursor.execute(tuned.SQL)
        (row,) = cursor.fetchall()
    found = tuned.read(row[2], row[3])
    assert isinstance(found, Tuned) and found.trial is not None
    assert found.trial.value == 400.0 and found.trial.share == 0.05 and found.trial.until == experiment.until.timestamp()


@pytest.mark.parametrize("bad", ['"many"', "true", "1e999", "[1]", "-3", "99999999"])
def test_a_value_that_makes_no_sense_never_gets_into_the_gateway(bad: str) -> None:
    live = tuned.Live()
    live.adopt([{"name": "batch_rows", "place": "", "value": bad, "trial": None}])
    assert 50 <= live.number("batch_rows", 500.0, low=50, high=2000) <= 2000
