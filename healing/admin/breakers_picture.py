"""How breakers stood over time, as shapes: one lane each, a bar for each stretch in one state. Geometry only. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from msgspec import Struct

WIDTH, LEFT, RIGHT, TOP, LANE, BAR = 1000, 210, 12, 10, 30, 16
LEAST = 4.0
"""An opening is seen however short it was."""
WORDS = {
    "closed": "closed", "open": "open", "half_open": "half-open", "forced_open": "forced open", "disabled": "disabled", "shadow": "shadow",
}  # fmt: skip
SPANS = {"hour": timedelta(hours=1), "day": timedelta(days=1)}
_LOUD = ("open", "forced_open", "half_open")


class Step(Struct, frozen=True):
    """From ``at`` on it was in that state."""

    at: datetime
    state: str
    why: str = ""


class Story(Struct, frozen=True):
    """One breaker's steps, oldest first; the first may lie before the span. Nothing is known of the time before it."""

    key: str
    name: str
    state: str
    steps: tuple[Step, ...]


class Bar(Struct, frozen=True):
    """One stretch."""

    x: float
    width: float
    state: str
    title: str


class Lane(Struct, frozen=True):
    """One breaker."""

    key: str
    name: str
    label: str
    y: float
    state: str
    word: str
    bars: tuple[Bar, ...]


class Picture(Struct, frozen=True):
    """Everything that is drawn, in a box of ``width`` × ``height``."""

    width: int
    height: int
    left: int
    right: int
    bottom: int
    bar: int
    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    legend: tuple[tuple[str, str], ...]


def draw(stories: Sequence[Story], start: datetime, end: datetime) -> Picture:
    """The lanes from ``start`` to ``end`` (now), in the order given."""
    bottom = TOP + LANE * len(stories)
    lanes = tuple(_lane(story, TOP + LANE * (n + 0.5), start, end) for n, story in enumerate(stories))
    there = {bar.state for lane in lanes for bar in lane.bars} | {lane.state for lane in lanes}
    return Picture(
        width=WIDTH, height=bottom + 24, left=LEFT, right=WIDTH - RIGHT, bottom=bottom, bar=BAR, lanes=lanes, ticks=_ticks(start, end),
        legend=tuple((state, word) for state, word in WORDS.items() if state in there),
    )  # fmt: skip


def _lane(story: Story, y: float, start: datetime, end: datetime) -> Lane:
    ends = [step.at for step in story.steps[1:]] + [end]
    bars = [_bar(step, max(step.at, start), until, start, end) for step, until in zip(story.steps, ends, strict=True) if until > start]
    bars.sort(key=lambda bar: bar.state in _LOUD)  # what is short and loud lies on top
    label = story.name if len(story.name) <= 27 else f"{story.name[:25]}…"
    return Lane(story.key, story.name, label, y, story.state, WORDS.get(story.state, story.state), tuple(bars))


def _bar(step: Step, since: datetime, until: datetime, start: datetime, end: datetime) -> Bar:
    x, right = _x(since, start, end), _x(until, start, end)
    width = max(right - x, LEAST if step.state in _LOUD else 0.0)
    lasted = f"{since:%H:%M:%S}–{until:%H:%M:%S}" if until < end else f"since {since:%H:%M:%S}"
    title = f"{WORDS.get(step.state, step.state)}, {lasted}" + (f": {step.why}" if step.why else "")
    return Bar(round(min(x, WIDTH - RIGHT - width), 1), round(width, 1), step.state, title)


def _x(at: datetime, start: datetime, end: datetime) -> float:
    part = (at - start) / (end - start)
    return LEFT + max(0.0, min(1.0, part)) * (WIDTH - LEFT - RIGHT)


def _ticks(start: datetime, end: datetime) -> tuple[tuple[float, str], ...]:
    """Round times, six or so of them."""
    step = timedelta(minutes=10) if end - start <= timedelta(hours=1) else timedelta(hours=4)
    first = start.replace(minute=0, second=0, microsecond=0)
    found, at = [], first
    while at <= end:
        if at >= start and _x(at, start, end) < WIDTH - RIGHT - 14:
            found.append((round(_x(at, start, end), 1), f"{at:%H:%M}"))
        at += step
    return tuple(found)
