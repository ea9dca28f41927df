"""What the optimizer's guardrails do, in seeded simulations: ``python -m benchmarks.optimizer [--runs 1000] [--harms 100]``.

A/A: changes that do nothing, with a peek every half hour for up to two weeks; how many are rolled back for harm. Harm: changes that do
damage; how many are rolled back, and how many events that took. Exit code 1 where a promise is broken.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from math import log
from statistics import median

from benchmarks.figures import figure
from benchmarks.optimizer.trials import Ended, by_event, by_time

Trial = Callable[[random.Random], Ended]
QUIET: dict[str, Trial] = {
    "split by event, 99 % good": lambda rng: by_event(rng, 0.99, 0.99, 20),
    "split by event, 80 % good": lambda rng: by_event(rng, 0.8, 0.8, 20),
    "in turns of time": lambda rng: by_time(rng, 0.0, 0.03, 500),
}
HARMFUL: dict[str, Trial] = {
    "rule or prompt: 98 % good -> 85 %": lambda rng: by_event(rng, 0.98, 0.85, 40),
    "rule or prompt: 99.5 % good -> 95 %": lambda rng: by_event(rng, 0.995, 0.95, 40),
    "batch size: writes 30 % slower": lambda rng: by_time(rng, log(1.3), 0.03, 500),
    "batch size: writes 10 % slower": lambda rng: by_time(rng, log(1.1), 0.03, 500),
}


def main() -> int:
    """Runs both kinds and prints the figures."""
    options = _options()
    held = [_quiet(name, trial, options.runs) for name, trial in QUIET.items()]
    held += [_harmful(name, trial, options.harms) for name, trial in HARMFUL.items()]
    return int(not all(held))


def _quiet(name: str, trial: Trial, runs: int) -> bool:
    ends = [trial(random.Random(seed)) for seed in range(runs)]
    rolled = sum(end.harmed for end in ends)
    promoted = sum(end.word == "promote" for end in ends)
    figure(f"A/A {name}: rolled back for harm", f"{rolled} of {runs}", "≤ 5 %", rolled <= 0.05 * runs)
    print(f"   promoted {promoted}, inconclusive {runs - rolled - promoted}")
    return rolled <= 0.05 * runs


def _harmful(name: str, trial: Trial, runs: int) -> bool:
    ends = [trial(random.Random(1_000_000 + seed)) for seed in range(runs)]
    rolled = [end for end in ends if end.harmed]
    figure(f"{name}: rolled back", f"{len(rolled)} of {runs}", "all", len(rolled) == runs)
    if rolled:
        print(f"   median {median(e.events for e in rolled):.0f} events of both arms, {median(e.hours for e in rolled):.1f} hours")
    return len(rolled) == runs


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.optimizer", description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--harms", type=int, default=100)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
