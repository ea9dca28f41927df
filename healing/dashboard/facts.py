"""What was counted, as the dashboard needs it: read in one moment, within a time that a person waits."""

from __future__ import annotations

from msgspec import Struct

from healing.dashboard.asked import TREND, Asked
from healing.dashboard.made_of import ALL
from metrics import timelines
from metrics.core.figures import Figures

PATIENCE = 3.0
"""Seconds that a statement may take before the page says so instead."""
TOLD_APART = ("mendgate_heals_total", "mendgate_reversals_total")
"""What would move a number is looked for by table in these."""


class Slow(Exception):
    """The control database did not answer in time, or not at all."""


class Facts(Struct, frozen=True):
    """``now`` is of the stretch asked for, ``before`` of as long a one before it; ``wide`` and ``wide_before`` are the same without the
    filter. ``trend``: seven days in steps, filtered; ``wide_trend``, not."""

    now: Figures
    before: Figures
    wide: Figures
    wide_before: Figures
    trend: list[timelines.Slice]
    wide_trend: list[timelines.Slice]
    by_table: Figures


def read(asked: Asked) -> Facts:
    """Everything for one look. Call it within ``timelines.one_moment``."""
    everything = timelines.asked(ALL)
    wide, wide_before, wide_trend = _whole(everything, asked), _before(everything, asked), _trend(everything, asked)
    now, before, trend = wide, wide_before, wide_trend
    if asked.only:
        some = timelines.asked(ALL, asked.only)
        now = _whole(some, asked)
        if not asked.caller:  # no number is told of one caller
            before, trend = _before(some, asked), _trend(some, asked)
    by_table = _whole(timelines.asked(TOLD_APART, asked.only, keep=("table",)), asked)
    return Facts(now, before, wide, wide_before, trend, wide_trend, by_table)


def _whole(places: timelines.Places, asked: Asked) -> Figures:
    return timelines.whole(places, asked.since)


def _before(places: timelines.Places, asked: Asked) -> Figures:
    return timelines.whole(places, asked.since - asked.window.length, asked.since)


def _trend(places: timelines.Places, asked: Asked) -> list[timelines.Slice]:
    return timelines.steps(places, asked.now - TREND.length, asked.now, TREND.step)
