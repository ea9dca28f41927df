"""Which fault comes when: one after the other for a game day, drawn by chance (a seed) for a soak. Values only."""

from __future__ import annotations

import random
from collections.abc import Sequence

from msgspec import Struct

CALM = 3.0
"""Seconds before the first fault and after the last."""


class Act(Struct, frozen=True):
    """A fault that begins ``at`` seconds after the beginning and lasts so long."""

    fault: str
    at: float
    lasts: float


def in_turn(faults: Sequence[tuple[str, float]], rest: float) -> list[Act]:
    """Each fault (with how long it lasts) once, ``rest`` seconds between them."""
    acts, at = [], CALM
    for name, lasts in faults:
        acts.append(Act(name, at, lasts))
        at += lasts + rest
    return acts


def by_chance(faults: Sequence[tuple[str, float]], seconds: float, rng: random.Random) -> list[Act]:
    """Faults until ``seconds`` are over: every one comes once before one comes again; pauses of 1 to 6 s, lengths ± 50 %."""
    acts: list[Act] = []
    at, deck = CALM, list[tuple[str, float]]()
    while True:
        deck = deck or rng.sample(list(faults), len(faults))
        name, usual = deck.pop()
        lasts = round(usual * rng.uniform(0.5, 1.5), 2)
        if at + lasts + CALM > seconds:
            return acts
        acts.append(Act(name, round(at, 2), lasts))
        at += lasts + rng.uniform(1, 6)
