"""Guardrails, the ramp, turns of time, calibration, miners and tuners: values in, values out."""

from __future__ import annotations

import random
from collections import Counter
from datetime import UTC, datetime, timedelta
from math import nan

import pytest
from msgspec.structs import replace

from benchmarks.optimizer.bad import GOOD, recorded, rule_stopped
from breakers.core.types import Outcome, Settings
from healing.core.tuned import BLOCK, Trial, Tuned, arm_at, pairs, picked
from optimizer.core import breakers, calibration, causes, guard, ramp, rules, transactions, tune
from optimizer.core.knobs import BATCH, KNOBS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
TRIAL = Trial(400.0, "seed", 0.25, 0.0, 1e12)


def test_every_knob_is_held_in_its_bounds_and_to_a_fifth_a_step() -> None:
    for knob in KNOBS.values():
        for now in (knob.low, (knob.low + knob.high) / 2, knob.high):
            for wanted in (0.0, now * 1.05, now * 10, 1e9, -5.0, nan):
                new = guard.step_towards(knob, now, wanted)
                assert new == now or (knob.low <= new <= knob.high and abs(new - now) <= 0.2 * now + 1e-9)


def refused(new: float, **more: object) -> list[str]:
    facts: dict[str, object] = {"open_groups": (), "bars": (), "now": NOW, **more}
    return guard.refusals(BATCH, "", 500, new, **facts)  # type: ignore[arg-type]


def test_a_step_is_refused_for_what_the_guardrails_say() -> None:
    assert refused(600) == []
    assert "no step of at most 20%" in refused(700)[0]
    assert "open" in refused(600, open_groups={"writes"})[0]
    assert refused(600, open_groups={"schema"}) == []


def test_a_direction_that_was_rolled_back_rests_for_four_weeks_and_the_other_one_does_not() -> None:
    bar = guard.Bar("batch_rows", "", "up", NOW + guard.BARRED)
    assert "barred until 2026-03-29" in refused(600, bars=[bar])[0]
    assert refused(400, bars=[bar]) == []
    assert refused(600, bars=[bar], now=NOW + timedelta(weeks=4)) == []


def standing(**more: object) -> ramp.Standing:
    facts = {"stage": 2, "since": NOW - timedelta(hours=25), "stage_since": NOW - timedelta(hours=7), "until": NOW + ramp.LEASE, **more}
    return ramp.Standing(**facts)  # type: ignore[arg-type]


def seen(**more: object) -> ramp.Seen:
    return ramp.Seen(**{"control": 400, "candidate": 400, "stage_events": 400, "lower": -0.005, **more})  # type: ignore[arg-type]


def test_a_change_is_promoted_with_enough_seen_for_long_enough_and_surely_not_worse() -> None:
    assert ramp.decide(standing(), seen(), NOW).word == "promote"
    assert ramp.decide(standing(), seen(lower=-0.011), NOW).word == "hold"
    assert ramp.decide(standing(), seen(candidate=299), NOW).word == "hold"
    assert ramp.decide(standing(since=NOW - timedelta(hours=23)), seen(), NOW).word == "hold"


def test_the_ramp_goes_step_by_step_and_needs_events_and_hours_for_each() -> None:
    assert ramp.decide(standing(stage=0), seen(lower=0.2), NOW).word == "advance"
    assert ramp.decide(standing(stage=1), seen(lower=0.2), NOW).word == "advance"
    assert ramp.decide(standing(stage=0, stage_since=NOW - timedelta(hours=5)), seen(), NOW).word == "hold"
    assert ramp.decide(standing(stage=0), seen(stage_events=99), NOW).word == "hold"


@pytest.mark.parametrize("bad", [{"harmed": True}, {"uneven": True}, {"alarm": "The error budget burns 15 times too fast."}])
def test_harm_imbalance_and_alarms_revert_whatever_else_is_true(bad: dict[str, object]) -> None:
    assert ramp.decide(standing(), seen(lower=0.5, **bad), NOW).word == "revert"


def test_without_telemetry_the_lease_runs_out() -> None:
    assert ramp.decide(standing(stage=1), seen(fresh=False, stage_events=1), NOW).word == "hold"
    assert ramp.decide(standing(stage=1), seen(fresh=False, stage_events=1), NOW + ramp.LEASE).word == "revert"


def test_too_little_is_extended_once_and_then_reverted() -> None:
    long, longer = NOW - timedelta(days=7), NOW - timedelta(days=14)
    assert ramp.decide(standing(since=long), seen(lower=-0.2), NOW).word == "extend"
    assert ramp.decide(standing(since=long, extended=True), seen(lower=-0.2), NOW).word == "hold"
    assert ramp.decide(standing(since=longer, extended=True), seen(lower=-0.2), NOW).word == "revert"


@pytest.mark.parametrize("share", [0.05, 0.25, 0.5])
def test_turns_of_time_are_dealt_by_share_in_neighbouring_pairs(share: float) -> None:
    trial = replace(TRIAL, share=share)
    arms = Counter(arm_at(trial, block * BLOCK) for block in range(4000))
    assert arms["candidate"] == arms["control"] == round(4000 * share)
    firsts = [a < b for a, b in pairs(trial, 0.0, 4000 * BLOCK)]
    assert all(abs(a - b) == BLOCK for a, b in pairs(trial, 0.0, 4000 * BLOCK))
    assert 0.3 < sum(firsts) / len(firsts) < 0.7
    assert all(arm_at(trial, a) == "candidate" and arm_at(trial, b) == "control" for a, b in pairs(trial, 0.0, 4000 * BLOCK))


def test_a_lease_that_ended_gives_the_old_value_back_by_itself() -> None:
    tuned = Tuned(500.0, replace(TRIAL, share=1.0, begins=1000.0, until=2000.0))
    assert [tuned.at(t) for t in (999.0, 1000.0, 1999.0, 2000.0)] == [500.0, 400.0, 400.0, 500.0]
    assert tuned.holds_until(1999.0) == 2000.0
    assert tuned.holds_until(2000.0) == float("inf")


def test_who_is_picked_by_hash_stays_picked_as_the_share_grows() -> None:
    events = [f"event {n}" for n in range(3000)]
    few, more = ({e for e in events if picked("seed", e, share)} for share in (0.05, 0.25))
    assert few < more
    assert 100 < len(few) < 200


def test_calibration_tells_who_promises_too_much() -> None:
    good = calibration.score([calibration.Kept(0.1, 0.12, 0.05, 0.2)] * 4)
    bad = calibration.score([calibration.Kept(0.5, -0.1, 0.3, 0.7)] * 4)
    assert good.trust > 0.5 > bad.trust
    assert bad.bias == pytest.approx(-0.6)
    assert calibration.score([]).trust == 0.5


def rule(**more: object) -> rules.Active:
    facts = {"id": "r1", "schema": "public", "table": "users", "signature": "unknown_column:email", "fix_hash": "h", "sentence": "s"}
    return rules.Active(**{**facts, "successes": 0, "failures": 0, "reversals": 0, **more})  # type: ignore[arg-type]


def test_one_reversal_demotes_and_a_long_clean_record_proves() -> None:
    assert [i.kind for i in rules.standings([rule(successes=5000, reversals=1)])] == ["demote"]
    assert [i.kind for i in rules.standings([rule(successes=80)])] == ["prove"]
    assert [i.kind for i in rules.standings([rule(successes=50)])] == []
    assert [i.kind for i in rules.standings([rule(successes=10, failures=40)])] == ["demote"]
    assert [i.kind for i in rules.standings([rule(successes=80, proven=True)])] == []


def ai_fix(**more: object) -> rules.AiFix:
    facts = {
        "schema": "public",
        "table": "t",
        "signature": "unknown_column:a",
        "fix_hash": "h",
        "sentence": "s",
        "landed": 3,
        "reversed": 0,
    }
    return rules.AiFix(**{**facts, **more})  # type: ignore[arg-type]


def test_three_identical_successes_of_an_ai_are_proposed_and_seventy_three_are_certifiable() -> None:
    assert not list(rules.from_ai([ai_fix(landed=2)]))
    assert not list(rules.from_ai([ai_fix(landed=30, reversed=1)]))
    few, many = rules.from_ai([ai_fix(), ai_fix(landed=73)])
    assert few.evidence["certifiable"] is False
    assert many.evidence["certifiable"] is True


def test_the_same_fix_under_three_tables_is_offered_to_the_tables_that_wait_for_it() -> None:
    same = [rule(id=t, table=t, successes=40) for t in ("a", "b", "c")]
    waiting = {("public", "unknown_column:email"): {"d": 7, "a": 3}}
    (idea,) = rules.merges(same, waiting)
    assert idea.new == "d"
    assert idea.expected.low < 7 == pytest.approx(idea.expected.high)
    assert not list(rules.merges(same[:2], waiting))
    assert not list(rules.merges([*same[:2], rule(id="c", table="c", reversals=1)], waiting))


def test_the_largest_clusters_come_first_each_with_its_kind_of_answer() -> None:
    place = {"schema": "public", "table": "logs", "callers": 2}
    found = [
        causes.Cause(**place, signature="unknown_column:metadata", writes=61),  # type: ignore[arg-type]
        causes.Cause(**place, signature="unknown_column:titel", writes=90, best=0.97, best_op="rename_column"),  # type: ignore[arg-type]
        causes.Cause(**place, signature="missing_value:user_id", writes=8),  # type: ignore[arg-type]
        causes.Cause(**place, signature="unknown_column:rare", writes=2),  # type: ignore[arg-type]
    ]
    assert [(i.name, i.new) for i in causes.common(found)] == [
        ("unknown_column:titel", "rule"), ("unknown_column:metadata", "ddl"), ("missing_value:user_id", "patch"),
    ]  # fmt: skip


def outages(failing: float) -> list[breakers.Call]:
    """An hour of calls, one a second; every ten minutes the provider hangs for two."""
    calls = []
    for second in range(3600):
        down = second % 600 >= 480
        bad = down and (second * 7919 % 100) < failing * 100
        calls.append(breakers.Call(float(second), Outcome.FAILURE if bad else Outcome.OK, 30.0 if bad else 0.4))
    return calls


SLOW = Settings(failure_threshold=20, failure_rate=0.5, minimum_calls=20, timeout=10.0)


def test_a_replay_goes_through_the_real_state_machine() -> None:
    found = breakers.replay(SLOW, outages(1.0))
    assert found.opens > 5
    assert found.spared > 100
    assert found.seconds_saved == pytest.approx(30.0 * found.spared)
    assert breakers.replay(SLOW, []).calls == 0


def test_a_breaker_that_opens_late_is_offered_one_step_that_opens_it_earlier() -> None:
    idea = breakers.tune("ai:slow", SLOW, outages(1.0))
    assert idea is not None
    assert idea.expected.low > 0
    assert abs(idea.new - idea.old) <= 0.2 * idea.old + 1e-9
    better = breakers.replay(breakers.changed(SLOW, idea.name, idea.new), outages(1.0))
    assert better.gain > breakers.replay(SLOW, outages(1.0)).gain


def test_too_few_calls_or_failures_and_barred_directions_are_left_alone() -> None:
    assert breakers.tune("ai:slow", SLOW, outages(1.0)[:150]) is None
    assert breakers.tune("ai:slow", SLOW, outages(0.0)) is None
    every = [(name, way) for name in breakers.KNOBS for way in ("up", "down")]
    assert breakers.tune("ai:slow", SLOW, outages(1.0), every) is None


def test_the_cache_lives_longer_only_where_more_questions_come_back() -> None:
    returning = [tune.Asked(f"q{n}", n * 1000.0 + again) for n in range(200) for again in (0.0, 650.0)]
    longer = tune.cache(600.0, returning)
    assert longer is not None
    assert longer.new == 720.0
    assert longer.expected.low > 0.3
    young = [tune.Asked(f"q{n}", n * 1000.0 + again) for n in range(200) for again in (0.0, 60.0)]
    shorter = tune.cache(600.0, young)
    assert shorter is not None
    assert shorter.new == 480.0
    assert tune.cache(0.0, returning) is None
    assert tune.hits(returning, 600.0) == 0


def test_retries_grow_where_they_help_and_shrink_where_they_do_not() -> None:
    more, fewer = tune.retries(0.2, tune.Retried(1000, 100, 80, 40)), tune.retries(0.2, tune.Retried(1000, 100, 1, 0))
    assert more is not None
    assert more.new == pytest.approx(0.24)
    assert fewer is not None
    assert fewer.new == pytest.approx(0.16)
    assert tune.retries(0.2, tune.Retried(1000, 100, 40, 40)) is None
    assert tune.retries(0.2, tune.Retried(1000, 10, 10, 40)) is None


def test_the_watcher_looks_rarer_where_it_hears_everything_and_oftener_where_it_is_deaf() -> None:
    hears, deaf = tune.interval(1.0, tune.Watched("listen", 0.002, 30, 0)), tune.interval(1.0, tune.Watched("counters", 0.002, 9, 9))
    assert hears is not None
    assert hears.new == 1.2
    assert deaf is not None
    assert deaf.new == 0.8
    assert tune.interval(1.0, tune.Watched("listen", 0.002, 30, 1)) is None
    assert tune.interval(1.0, tune.Watched("counters", 0.05, 9, 9)) is None


def test_batches_are_tried_in_the_direction_that_has_not_failed() -> None:
    def new(*tried: tuple[str, float]) -> float | None:
        idea = tune.batch(500.0, tune.Batched(200.0, 4.0, tried))
        return None if idea is None else idea.new

    assert new() == 400
    assert new(("down", -0.1)) == 600
    assert new(("up", 0.05)) == 600
    assert new(("up", -0.1), ("down", -0.1)) is None
    assert tune.batch(500.0, tune.Batched(3.0, 4.0)) is None


def test_inserts_that_are_refused_often_are_committed_alone_and_join_again_when_they_are_not() -> None:
    alone = transactions.strategy("together", transactions.Table("public.t", 20_000, 8_000, 16))
    assert alone is not None
    assert alone.new == "alone"
    assert alone.expected.low > 0
    again = transactions.strategy("alone", transactions.Table("public.t", 20_000, 20, 16))
    assert again is not None
    assert again.new == "together"
    assert transactions.strategy("together", transactions.Table("public.t", 20_000, 20, 16)) is None
    assert transactions.strategy("together", transactions.Table("public.t", 500, 400, 16)) is None


def test_harmful_rules_of_every_kind_are_stopped_by_the_backtest() -> None:
    assert all(rule_stopped(seed)[0] for seed in range(12))


def test_a_breaker_that_opens_at_a_blip_is_worse_on_recorded_calls() -> None:
    calls = recorded(random.Random(5), 3 * 3600)  # noqa: S311  (no secret)
    eager = replace(GOOD, failure_threshold=1, failure_rate=0.01, minimum_calls=2)
    assert breakers.gain_bounds(breakers.replay(GOOD, calls), breakers.replay(eager, calls))[1] < 0
