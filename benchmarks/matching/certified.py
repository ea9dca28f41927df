"""What policy ``certified`` would apply by itself: as shipped over all labelled causes, and in years of decisions that are simulated.

The simulation: a bucket's true chance of being wrong is drawn from what the labelled causes leave open (Beta posterior), then causes
come one by one. Until the bucket is certified a person decides each, after that it applies itself, and the first wrong one is taken
back and ends it. Seeded; every run is another world.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import cache
from math import inf

from msgspec import Struct

from benchmarks.matching.evidence import decisions, evidence
from healing.core.certify import Tally, needed
from healing.core.confidence import lower_bound
from healing.core.match.model import Model

RUNS, CAUSES = 4_000, 20_000


class World(Struct):
    """What became of one bucket in one run."""

    decided: int = 0
    applied: int = 0
    wrong: int = 0


def applied_as_shipped(model_of: Callable[[str], Model], found: dict[str, tuple[int, int]]) -> tuple[int, int]:
    """Over all labelled causes: how many would have applied themselves, and how many of these wrongly."""
    able = {bucket for bucket, (right, wrong) in found.items() if Tally(right, wrong).certified}
    answers = [right for _, bucket, right in decisions(model_of) if bucket in able]
    return len(answers), answers.count(False)


def live(wrong_rate: float, known: Tally, rng: random.Random, causes: int = CAUSES) -> World:
    """One bucket over so many causes."""
    world, right, wrong = World(), known.right, known.wrong
    for _ in range(causes):
        mistaken = rng.random() < wrong_rate
        if _required(wrong) == inf:
            break
        if right >= _required(wrong):
            world.applied += 1
            world.wrong += mistaken
            if mistaken:
                break
        else:
            world.decided += 1
            right, wrong = right + (not mistaken), wrong + mistaken
    return world


@cache
def _required(wrong: int) -> float:
    """How many right decisions certify a bucket with so many wrong ones; beyond a simulation's length it does not matter how many."""
    return inf if wrong > 12 else needed(Tally(0, wrong)) or 0


def report(model_of: Callable[[str], Model]) -> list[str]:
    """Lines to print."""
    found = evidence(model_of)
    applied, wrong = applied_as_shipped(model_of, found)
    return [f"as shipped: {applied} applied, {wrong} wrong", *_simulated(found)]


def _simulated(found: dict[str, tuple[int, int]]) -> list[str]:
    lines, applied, mistaken = [], 0, 0
    for bucket, (right, wrong) in sorted(found.items()):
        rng = random.Random(f"{bucket}")
        worlds = [live(rng.betavariate(wrong + 1, right + 1), Tally(right, wrong), rng) for _ in range(RUNS)]
        certified = [w for w in worlds if w.applied]
        applied, mistaken = applied + sum(w.applied for w in worlds), mistaken + sum(w.wrong for w in worlds)
        lines.append(
            f"{bucket:22} labelled right {right}, wrong {wrong}; certified in {len(certified)} of {RUNS} worlds"
            + (f", after {sorted(w.decided for w in certified)[len(certified) // 2]} decisions (median)" if certified else "")
            + f"; applied {sum(w.applied for w in worlds)}, wrong {sum(w.wrong for w in worlds)}"
        )
    high = 1 - lower_bound(applied - mistaken, mistaken, 0.975)
    low = lower_bound(mistaken, applied - mistaken, 0.975)
    share = f"{mistaken / applied:.4%} (95 % interval {low:.4%} to {high:.4%})" if applied else "nothing applied"
    return [*lines, f"all simulated worlds: {applied} applied, {mistaken} wrong: {share}"]
