"""What was counted, as the dashboard needs it: read in one moment, within a time that a person waits."""

from __future__ import annotations

from msgspec import Struct

from healing.dashboard.asked import TREND, Asked
from metrics import timelines
from metrics.core.figures import Figures

PATIENCE = 3.0
"""Seconds that a statement may take before the page says so instead."""
NAMES = (
    "mendgate_writes_total", "mendgate_write_seconds", "mendgate_heals_total", "mendgate_healing_seconds",
    "db_client_operation_duration_seconds", "mendgate_replays_total", "mendgate_reversals_total", "mendgate_decisions_total",
    "mendgate_breaker_transitions_total", "mendgate_breaker_saved_total", "mendgate_ai_requests_total", "mendgate_ai_cost_dollars_total",
    "mendgate_ai_saved_dollars_total", "mendgate_schema_changes_total", "mendgate_cache_invalidations_total",
)  # fmt: skip
"""What the numbers are made of."""
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
    wide, wide_before, wide_trend = _stretches(asked, timelines.EVERYTHING)
    now, before, trend = _stretches(asked, asked.only) if asked.only else (wide, wide_before, wide_trend)
    by_table = timelines.whole(TOLD_APART, asked.since, only=asked.only, keep=("table",))
    return Facts(now, before, wide, wide_before, trend, wide_trend, by_table)


def _stretches(asked: Asked, only: timelines.Only) -> tuple[Figures, Figures, list[timelines.Slice]]:
    return (
        timelines.whole(NAMES, asked.since, only=only),
        timelines.whole(NAMES, asked.since - asked.window.length, asked.since, only=only),
        timelines.steps(NAMES, asked.now - TREND.length, asked.now, TREND.step, only),
    )
