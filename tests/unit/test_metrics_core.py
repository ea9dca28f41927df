"""The pure part of the metrics: sketches, bounds, burn rates, counting, the summary."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from metrics.core import evidence, sketch
from metrics.core import observation as o
from metrics.core.count import _COUNT, MOST_SERIES, OTHER, Tally
from metrics.core.evidence import BURN_RULES, Share, burns, surely_above, surely_below, wilson
from metrics.core.figures import Figures
from metrics.core.names import METRICS
from metrics.core.sketch import Sketch
from metrics.core.summary import NUMBERS, summarize
from metrics.core.triggers import LIMITS, WINDOWS, Finding, judge

durations = st.floats(1e-6, 1e5)


def sketch_of(values: list[float]) -> Sketch:
    found = Sketch()
    for value in values:
        found.add(value)
    return found


@given(st.lists(durations, min_size=1, max_size=200), st.floats(0, 1))
def test_a_quantile_is_within_one_percent_of_a_value_of_that_rank(values: list[float], q: float):
    exact = sorted(values)[math.floor(q * (len(values) - 1))]
    found = sketch_of(values).quantile(q)
    assert found is not None and abs(found - exact) <= exact * sketch.ERROR + 1e-12


@given(st.lists(durations, max_size=50), st.lists(durations, max_size=50))
def test_merging_is_as_if_all_had_been_counted_in_one(left: list[float], right: list[float]):
    merged = sketch_of(left)
    merged.merge(sketch_of(right))
    whole = sketch_of(left + right)
    assert merged.buckets == whole.buckets and merged.count == whole.count and merged.least == whole.least
    assert merged.total == pytest.approx(whole.total)


@given(st.lists(durations | st.just(0.0), max_size=50))
def test_a_sketch_survives_json(values: list[float]):
    found = sketch_of(values)
    assert sketch.load(json.loads(json.dumps(sketch.dump(found)))) == found


def test_an_empty_sketch_has_no_quantile_and_no_mean():
    assert Sketch().quantile(0.5) is None and Sketch().mean is None


def test_zeros_are_values_too():
    found = sketch_of([0.0, 0.0, 1.0])
    assert found.quantile(0.0) == 0.0 and found.quantile(1.0) == 1.0 and found.below(0.5) == 2


@given(st.integers(0, 500), st.integers(0, 500))
def test_wilson_holds_the_plain_share(good: int, bad: int):
    low, high = wilson(good, good + bad)
    assert 0 <= low <= high <= 1
    if good + bad:
        assert low - 1e-12 <= good / (good + bad) <= high + 1e-12


def test_wilson_of_a_textbook():
    low, high = wilson(8, 10)
    assert (round(low, 4), round(high, 4)) == (0.4902, 0.9433)


def test_a_share_is_surely_below_only_with_enough_cases_in_both_windows():
    assert surely_below((Share(80, 100), Share(800, 1000)), 0.9)
    assert not surely_below((Share(8, 10), Share(800, 1000)), 0.9), "too few"
    assert not surely_below((Share(88, 100), Share(880, 1000)), 0.9), "the bound's upper end lies above"
    assert not surely_below((), 0.9)
    assert surely_above((Share(50, 100),), 0.3) and not surely_above((Share(35, 100),), 0.3)


def test_a_burn_needs_both_windows():
    rule = BURN_RULES[0]
    assert burns(Share(840, 1000), Share(80, 100), 0.99, rule)
    assert not burns(Share(840, 1000), Share(100, 100), 0.99, rule), "it is over"
    assert not burns(Share(990, 1000), Share(80, 100), 0.99, rule), "it does not matter yet"
    assert evidence.burn_rate(Share(0, 0), 0.99) == 0.0


def test_every_kind_of_observation_is_counted():
    assert set(_COUNT) == set(o.Observation.__args__)


SEEN = [
    o.Wrote("public.a", "insert", "shop", "healthy", 0.01),
    o.Wrote("public.a", "insert", "shop", "healed", 0.03, heals=(("rename_column", "lineage"),), changed=True),
    o.Wrote("public.a", "insert", "shop", "kept", 0.02),
    o.Wrote("public.b", "update", "app", "healed", 0.05, heals=(("rename_column", "ai"),)),
    o.Read("public.a", "shop", True, 0.004),
    o.Replayed("public.a", "landed", "person", 0.2),
    o.Reversed("public.b", "ai", "undo"),
    o.Decided("proposal", "approve"),
    o.BreakerMoved("ai:x", "open"),
    o.Saved("ai:x", 10, 4),
    o.Asked("m", "x", "edge", "ok", 1.0, 0.2, 10, 20, 0.5, 0.0),
    o.Asked("m", "x", "edge", "canned", 0.001, None, 0, 0, 0.0, 0.25),
    o.SchemaMoved("critical", 2),
    o.Invalidated("settled"),
    o.JobRan("sweep", True, 0.4),
]


def figures_of(seen: list[o.Observation]) -> Figures:
    tally, figures = Tally(), Figures()
    for each in seen:
        tally.observe(each)
    for series, amount in tally.counters.items():
        figures.add(series, amount)
    for series, found in tally.sketches.items():
        figures.merge(series, found)
    return figures


def test_series_have_the_labels_that_their_metric_names():
    tally = Tally()
    for each in SEEN:
        tally.observe(each)
    for kind, found in (("counter", tally.counters), ("histogram", tally.sketches)):
        for series in found:
            metric = METRICS[series[0]]
            assert metric.kind == kind and len(series) == 1 + len(metric.labels)


def test_the_summary_of_known_traffic():
    found = summarize(figures_of(SEEN))
    assert set(found) == {number.name for number in NUMBERS}
    assert found["healing_success_rate"] == pytest.approx(1.0), "two were healed, the kept one landed"
    assert found["wrong_heal_rate"] == pytest.approx(1 / 3)
    assert found["ai_fix_rate"] == pytest.approx(1 / 3) and found["deterministic_fix_rate"] == pytest.approx(2 / 3)
    assert found["avg_insert_duration"] == pytest.approx(20.0) and found["avg_update_duration"] == pytest.approx(50.0)
    assert found["avg_select_duration"] == pytest.approx(4.0) and found["avg_healing_duration"] == pytest.approx(40.0)
    assert found["fallback_usage_rate"] == pytest.approx(0.5) and found["ai_cost"] == 0.5 and found["ai_cost_saved"] == 0.25
    assert found["circuit_breaker_trips"] == 1 and found["breaker_saves"] == 10 and found["schema_changes_detected"] == 2


def test_nothing_seen_is_none_and_no_target_is_judged():
    found = summarize(Figures())
    assert found["healing_success_rate"] is None and found["circuit_breaker_trips"] == 0
    assert NUMBERS[0].reached(None) is None and NUMBERS[0].reached(0.995) is True and NUMBERS[0].reached(0.9) is False


def test_labels_choose_and_group():
    figures = figures_of(SEEN)
    assert figures.total("mendgate_writes_total", table="public.a") == 3
    assert figures.by("mendgate_writes_total", "caller", outcome=("healed", "kept")) == {("shop",): 2.0, ("app",): 1.0}


def test_too_many_series_fold_into_one():
    tally = Tally()
    for number in range(MOST_SERIES + 5):
        tally.add(1, "mendgate_cache_invalidations_total", str(number))
    assert tally.counters[("mendgate_cache_invalidations_total", OTHER)] == 5
    assert len(tally.counters) == MOST_SERIES + 1


def judged(figures: Figures, **edited: float) -> list[Finding]:
    limits = {limit.name: structs.replace(limit, bound=edited.get(limit.name, limit.bound)) for limit in LIMITS}
    return judge(dict.fromkeys(WINDOWS, figures), limits)


def writes(outcome: str, count: int, **more: Any) -> list[o.Observation]:
    return [o.Wrote("public.a", "insert", "shop", outcome, 0.01, **more)] * count  # type: ignore[arg-type]


def test_healthy_traffic_fires_nothing():
    assert judged(figures_of([*writes("healthy", 500), *writes("healed", 200, heals=(("cast", "builtin"),)), *writes("kept", 2)])) == []


def test_no_traffic_fires_nothing():
    assert judged(Figures()) == []


def test_each_trigger_fires_on_its_own_evidence():
    cases: dict[str, list[o.Observation]] = {
        "healing_success": [*writes("healed", 80, heals=(("cast", "builtin"),)), *writes("kept", 40)],
        "ai_fix_rate": [*writes("healed", 70, heals=(("cast", "builtin"),)), *writes("healed", 60, heals=(("cast", "ai"),))],
        "breaker_trips": [o.BreakerMoved("ai:x", "open")] * 5,
        "cache_invalidations": [o.Invalidated("settled")] * 11,
        "slow_healing": [o.Wrote("a", "insert", "shop", "healed", 0.5, heals=(("cast", "builtin"),))] * 120,
        "growing_quarantine": [*writes("kept", 60), *writes("healed", 5000)],
        "burn_rate": [*writes("healthy", 900), *writes("failed", 100)],
    }
    assert set(cases) == {limit.name for limit in LIMITS}
    for name, seen in cases.items():
        found = judged(figures_of(seen))
        assert [finding.name for finding in found] == [name], (name, found)
        assert found[0].sentence.endswith((".", "?"))


def test_few_cases_do_not_fire_though_their_share_is_bad():
    assert judged(figures_of([*writes("healed", 5), *writes("kept", 15)])) == []
    assert judged(figures_of([*writes("healthy", 10), *writes("failed", 5)])) == []


def test_a_person_moves_a_threshold():
    trips = figures_of([o.BreakerMoved("ai:x", "open")] * 3)
    assert judged(trips) == [] and [f.about for f in judged(trips, breaker_trips=3)] == ["ai:x"]


def test_false_alarms_at_the_bound_are_rare():
    """Success is exactly at the bound: the trigger fires in about one look of a hundred, where a plain comparison fires in half."""
    chance = random.Random(5)  # noqa: S311
    alarms = plain = 0
    for _ in range(400):
        good = sum(chance.random() < 0.9 for _ in range(120))
        alarms += surely_below((Share(good, 120), Share(good, 120)), 0.9)
        plain += good / 120 < 0.9
    assert alarms <= 16 and plain >= 120


def test_what_a_caller_wished_to_wait_is_healing_and_not_writing():
    seen = o.Wrote("a", "insert", "shop", "healed", 12.5, heals=(("rename_column", "ai"),), waited=12.0)
    found = summarize(figures_of([seen]))
    assert found["avg_insert_duration"] == pytest.approx(500.0) and found["avg_healing_duration"] == pytest.approx(12_500.0)


def test_alike_or_one_by_one_the_same_is_counted() -> None:
    """Grouping is a matter of speed only: waits, several rows, heals, failures, callers and other kinds between them change nothing."""
    heals = (("rename_column", "lineage"),)
    wrote = [o.Wrote("public.t", "insert", f"k{n % 3}", "healthy", 0.001 * n, 1 + n % 2) for n in range(1, 20)]
    waits = [0.2 * (n % 4 // 2) for n in range(9)]
    wrote += [o.Wrote("public.t", "insert", f"k{n % 2}", "healed", 0.5, heals=heals, changed=True, waited=w) for n, w in enumerate(waits)]
    reads = [("k", True, 0.002), ("k", False, 0.003), ("k", True, 0.004), ("k2", True, 0.005)]
    seen = [*wrote, *(o.Read("public.t", *each) for each in reads)]
    alone, together = Tally(), Tally()
    for each in seen:
        alone.observe(each)
    assert together.observe_all(seen) == []
    assert together.counters == alone.counters
    assert {s: (x.buckets, x.count, x.least, x.most) for s, x in together.sketches.items()} == {
        s: (x.buckets, x.count, x.least, x.most) for s, x in alone.sketches.items()
    }
    assert all(together.sketches[s].total == pytest.approx(x.total) for s, x in alone.sketches.items())


def test_what_cannot_be_counted_takes_nothing_with_it() -> None:
    """One unsound observation among sound ones."""
    tally = Tally()
    faults = tally.observe_all([o.Read("t", "k", True, 0.1), o.Read("t", "k", True, float("inf")), o.Read("t", "k", True, 0.2)])
    assert len(faults) == 1
    times = tally.sketches["db_client_operation_duration_seconds", "select"]
    assert (times.count, times.total) == (2, pytest.approx(0.3))
