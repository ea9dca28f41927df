"""What may be tuned, how far, and when not: bounds, a fifth a step, one experiment a group of metrics, a rest after a rollback."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime, timedelta
from math import isfinite
from typing import Literal

from msgspec import Struct

STEP = 0.20
BARRED = timedelta(weeks=4)
Direction = Literal["up", "down"]


class Knob(Struct, frozen=True, kw_only=True):
    """A setting. ``group``: the metrics it moves; two experiments of one would blur each other. ``asks``: a person must agree first."""

    name: str
    title: str
    unit: str
    low: float
    high: float
    group: str
    whole: bool = False
    asks: bool = False


class Bar(Struct, frozen=True):
    """A direction that was rolled back: ``up``, ``down``, or the word that it would have become."""

    setting: str
    place: str
    direction: str
    until: datetime


def direction(old: float, new: float) -> Direction:
    """Which way it goes."""
    return "up" if new > old else "down"


def step_towards(knob: Knob, now: float, wanted: float) -> float:
    """The value nearest to ``wanted`` that one step may reach: within the bounds and at most a fifth away. ``now`` where there is none.

    >>> rows = Knob(name="batch_rows", title="", unit="rows", low=50, high=2000, group="writes", whole=True)
    >>> step_towards(rows, 500, 2000), step_towards(rows, 500, 450), step_towards(rows, 55, 0), step_towards(rows, 3, 2)
    (600, 450, 50, 3)
    """
    if not isfinite(wanted):
        return now
    near = min(max(wanted, now * (1 - STEP)), now * (1 + STEP))
    near = min(max(near, knob.low), knob.high)
    if knob.whole:
        near = int(near) if near > now else -int(-near)
    return near if within(knob, now, near) else now


def within(knob: Knob, old: float, new: float) -> bool:
    """Whether a step keeps the rules."""
    return isfinite(new) and knob.low <= new <= knob.high and abs(new - old) <= STEP * abs(old) + 1e-9


def refusals(
    knob: Knob, place: str, old: float, new: float, *, open_groups: Collection[str], bars: Collection[Bar], now: datetime
) -> list[str]:
    """Why the step may not be tried now; empty = it may."""
    found = []
    if not within(knob, old, new):
        found.append(f"{new:g} is no step of at most {STEP:.0%} from {old:g} within {knob.low:g} to {knob.high:g} {knob.unit}")
    if new == old:
        found.append("it is so already")
    if knob.group in open_groups:
        found.append(f"another experiment on {knob.group} is open")
    way = direction(old, new)
    for bar in bars:
        if (bar.setting, bar.place, bar.direction) == (knob.name, place, way) and now < bar.until:
            found.append(f"{way} was rolled back; it is barred until {bar.until:%Y-%m-%d}")
    return found
