"""Breakers over time: a lane each, a bar for each stretch in which it was not closed."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from breakers.models import BreakerEvent
from healing.dashboard.asked import Asked
from healing.dashboard.chart import Bar, Cell, Chart
from healing.dashboard.markers import markers

MOST = 2_000
"""Events that are read, the newest."""
WORDS = {"half_open": "half-open", "forced_open": "forced open"}
Moved = tuple[datetime, str, str]
"""When, into which state, in which words."""


def lanes(asked: Asked) -> Chart:
    """Every breaker that moved in the stretch or before it."""
    stories = _stories(asked)
    bars = [bar for name, story in stories.items() for bar in stretches(name, story, asked.since, asked.now)]
    rows: list[list[Cell]] = [[bar.lane, bar.state, bar.start.isoformat(), bar.end.isoformat(), _seconds(bar), bar.text] for bar in bars]
    opened = sum(1 for bar in bars if bar.state == "open")
    return Chart(
        title="Breakers", unit="", start=asked.since, end=asked.now, bars=bars, markers=markers(asked), lanes=sorted(stories),
        columns=["breaker", "state", "from", "to", "seconds", "why"], rows=rows,
        sentence=f"Breakers, {asked.window.said}: {opened} opening{'' if opened == 1 else 's'}, {len(stories)} of them have moved.",
        note="Breakers are of no table and no caller: the filter does not reach them." if asked.only else "",
        empty="" if bars else "No breaker opened in this stretch.",
    )  # fmt: skip


def stretches(name: str, story: Sequence[Moved], start: datetime, end: datetime) -> list[Bar]:
    """The parts of [start, end) in which the breaker was in another state than closed."""
    ends = [*(moved[0] for moved in story[1:]), end]
    return [
        Bar(name, max(at, start), min(until, end), WORDS.get(state, state), text)
        for (at, state, text), until in zip(story, ends, strict=True)
        if state != "closed" and until > start and until > at
    ]


def _stories(asked: Asked) -> dict[str, list[Moved]]:
    fields = ("name", "at", "to_state", "sentence")
    within = BreakerEvent.objects.filter(at__gte=asked.since, at__lte=asked.now).order_by("-at", "-id").values_list(*fields)[:MOST]
    before = BreakerEvent.objects.filter(at__lt=asked.since).order_by("name", "-at", "-id").distinct("name").values_list(*fields)
    found: dict[str, list[Moved]] = {}
    for name, at, state, text in [*before, *reversed(within)]:
        found.setdefault(name, []).append((at, state, text))
    return found


def _seconds(bar: Bar) -> float:
    return round((bar.end - bar.start).total_seconds(), 3)
