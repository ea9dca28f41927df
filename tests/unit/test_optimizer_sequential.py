"""The sequential tests, the bounds, the imbalance check: values, and seeded simulations in small."""

from __future__ import annotations

import random
from math import log

import pytest

from benchmarks.optimizer.trials import by_event, by_time
from optimizer.core import balance, bounds
from optimizer.core.harm import SHIFTS, Arm, Harm
from optimizer.core.pairs import Turns


def dice(seed: int) -> random.Random:
    """Repeatable chance."""
    return random.Random(seed)  # noqa: S311  (no secret)


def test_evidence_is_a_fair_bet_whatever_the_common_rate() -> None:
    for rate in (0.02, 0.5, 0.9, 0.995):
        rng, total = dice(7), 0.0
        for _ in range(4000):
            harm = Harm().see(Arm(20, sum(rng.random() < rate for _ in range(20))), Arm(20, sum(rng.random() < rate for _ in range(20))))
            total += sum(2.718281828459045**bet for bet in harm.bets) / len(SHIFTS)
        assert total / 4000 <= 1.1


def test_harm_is_found_however_the_batches_are_cut_and_stays_found() -> None:
    harm = Harm()
    for _ in range(40):
        harm = harm.see(Arm(20, 19), Arm(20, 12))
    assert harm.found()
    recovered = harm
    for _ in range(400):
        recovered = recovered.see(Arm(20, 19), Arm(20, 20))
    assert recovered.found()
    assert recovered.control == Arm(440 * 20, 440 * 19)


def test_a_better_candidate_is_no_harm() -> None:
    harm = Harm()
    for _ in range(400):
        harm = harm.see(Arm(20, 12), Arm(20, 19))
    assert not harm.found()


def test_nothing_seen_is_no_evidence() -> None:
    assert Harm().see(Arm(), Arm()).peak == 0.0
    assert Turns().see().peak == 0.0
    assert bounds.share_bounds(Arm()) == (0.0, 1.0)


def test_pairs_see_a_slowdown_and_no_speedup() -> None:
    rng = dice(3)
    noise = [rng.gauss(0, 0.1) for _ in range(200)]
    assert Turns().see(*[n + 0.08 for n in noise]).found()
    assert not Turns().see(*[n - 0.08 for n in noise]).found()


@pytest.mark.parametrize("scale", [1e-4, 1e-2, 1.0, 30.0])
def test_the_interval_of_pairs_holds_the_truth_for_noise_of_any_size(scale: float) -> None:
    missed = 0
    for seed in range(60):
        rng = dice(seed)
        differences = [scale * (1 + rng.choice((-1, 1)) * rng.random() ** 3 * 5) for _ in range(80)]
        low, high = Turns().see(*differences).interval()
        missed += not low <= scale <= high
    assert missed <= 6


def test_one_pair_says_nothing() -> None:
    low, high = Turns().see(0.4).interval()
    assert low < -0.05 and high > 0.8


def test_bounds_of_a_difference_hold_at_every_look() -> None:
    missed = 0
    for seed in range(60):
        rng = dice(seed)
        a = b = Arm()
        wrong = False
        for _ in range(30):
            a = a.plus(Arm(40, sum(rng.random() < 0.95 for _ in range(40))))
            b = b.plus(Arm(40, sum(rng.random() < 0.90 for _ in range(40))))
            low, high = bounds.difference(a, b)
            wrong = wrong or not low <= -0.05 <= high
        missed += wrong
    assert missed <= 6


def test_an_arm_that_gets_too_much_is_seen_and_a_fair_coin_is_not() -> None:
    assert balance.uneven(control=5300, candidate=4700, share=0.5)
    assert not balance.uneven(control=5050, candidate=4950, share=0.5)
    assert balance.uneven(control=10, candidate=1, share=0.0)
    assert balance.uneven(control=1, candidate=100, share=1.0)


def test_few_changes_that_do_nothing_are_rolled_back_for_harm() -> None:
    by_share = [by_event(dice(seed), 0.99, 0.99, 20) for seed in range(12)]
    in_turns = [by_time(dice(seed), 0.0, 0.02, 500) for seed in range(12)]
    assert sum(e.harmed for e in by_share) <= 2
    assert sum(e.harmed for e in in_turns) <= 2


def test_every_change_that_harms_is_rolled_back() -> None:
    assert all(by_event(dice(seed), 0.98, 0.80, 40).harmed for seed in range(15))
    assert all(by_time(dice(seed), log(1.5), 0.05, 500).harmed for seed in range(15))
