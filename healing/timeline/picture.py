"""The timeline as shapes: lanes, marks, links. Geometry only; the template draws it as SVG. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from msgspec import Struct
from msgspec.structs import replace

from healing.timeline.event import LANES, TITLES, Event, Link
from healing.timeline.span import Span

WIDTH, LEFT, RIGHT, TOP, LANE = 1000, 104, 16, 12, 40
CELL = 16
"""Marks of one lane nearer than this are one mark with a count."""
_LARGEST = 15


class Mark(Struct, frozen=True):
    """One mark: a change, or several things of one lane that lie too close. ``ids`` are the events in it."""

    lane: str
    x: float
    y: float
    size: float
    width: float
    count: int
    label: str
    title: str
    link: str
    ids: tuple[str, ...]
    at: datetime
    several: bool
    chain: str = ""
    """ids of the marks it is linked with, for highlighting: ``m1 m7``."""
    id: str = ""

    @property
    def shape(self) -> str:
        """The outline, another for each lane: colour is never alone."""
        return _SHAPES[self.lane](self.x, self.y, self.size)


class Lane(Struct, frozen=True):
    """One row of the picture."""

    name: str
    title: str
    y: float
    count: int


class Curve(Struct, frozen=True):
    """A link between two marks."""

    path: str
    before: str
    after: str


class Picture(Struct, frozen=True):
    """Everything that is drawn, in a box of ``width`` × ``height``."""

    width: int
    height: int
    left: int
    right: int
    bottom: int
    lanes: tuple[Lane, ...]
    ticks: tuple[tuple[float, str], ...]
    marks: tuple[Mark, ...]
    curves: tuple[Curve, ...]


def draw(events: Sequence[Event], links: Sequence[Link], span: Span, lanes: Sequence[str] = LANES) -> Picture:
    """The picture of these events within the span."""
    rows = {lane: TOP + LANE * (n + 0.5) for n, lane in enumerate(lanes)}
    marks = [mark for lane in lanes for mark in _marks([e for e in events if e.lane == lane], rows[lane], span)]
    marks = [replace(mark, id=f"m{n}") for n, mark in enumerate(marks)]
    curves = _curves(marks, links)
    bottom = TOP + LANE * len(lanes)
    ticks = tuple((round(_x(part), 1), word) for part, word in span.ticks())
    return Picture(
        width=WIDTH, height=bottom + 26, left=LEFT, right=WIDTH - RIGHT, bottom=bottom,
        lanes=tuple(_lane(lane, rows[lane], events) for lane in lanes), ticks=ticks,
        marks=tuple(_chained(mark, curves) for mark in marks), curves=tuple(curves),
    )  # fmt: skip


def _marks(events: Sequence[Event], y: float, span: Span) -> list[Mark]:
    """Events from left to right, those that lie too close together as one."""
    groups: list[list[Event]] = []
    for event in sorted(events, key=lambda e: e.at):
        x = _x(span.where(event.at))
        if groups and x - _x(span.where(groups[-1][0].at)) < CELL:
            groups[-1].append(event)
        else:
            groups.append([event])
    return [_mark(group, y, span) for group in groups]


def _mark(group: list[Event], y: float, span: Span) -> Mark:
    first, count = group[0], sum(event.count for event in group)
    x = _x(span.where(first.at))
    end = max((_x(min(span.where(e.until), 1.0)) for e in group if e.until is not None), default=x)
    sentences = [event.sentence for event in group[:6]] + ([f"and {len(group) - 6} more"] if len(group) > 6 else [])
    size = min(_LARGEST, 7 + 1.6 * max(0, len(str(count)) - 1) + (2 if count > 1 else 0))
    return Mark(
        lane=first.lane, x=round(x, 1), y=y, size=size, width=round(max(end - x, 0), 1), count=count,
        label=_short(count) if count > 1 else "", title="\n".join(sentences), link=first.link, ids=tuple(e.id for e in group), at=first.at,
        several=len(group) > 1,
    )  # fmt: skip


def _curves(marks: Sequence[Mark], links: Sequence[Link]) -> list[Curve]:
    holder = {event: mark for mark in marks for event in mark.ids}
    pairs = dict.fromkeys((holder[link.before].id, holder[link.after].id) for link in links if {link.before, link.after} <= holder.keys())
    by_id = {mark.id: mark for mark in marks}
    return [Curve(_path(by_id[a], by_id[b]), a, b) for a, b in pairs if a != b]


def _path(a: Mark, b: Mark) -> str:
    """Down from the earlier lane to the later one; what lies right below is reached past the marks between."""
    middle = round((a.y + b.y) / 2, 1)
    if abs(a.x - b.x) < CELL:
        side = min(a.x, b.x) - 2.5 * CELL
        return f"M{a.x} {a.y} C{side} {a.y + CELL} {side} {b.y - CELL} {b.x} {b.y}"
    return f"M{a.x} {a.y} C{a.x} {middle} {b.x} {middle} {b.x} {b.y}"


def _chained(mark: Mark, curves: Sequence[Curve]) -> Mark:
    """With everything that leads to it and follows from it."""
    before = _reach(mark.id, {(c.after, c.before) for c in curves})
    after = _reach(mark.id, {(c.before, c.after) for c in curves})
    return replace(mark, chain=" ".join(sorted(before | after)))


def _reach(start: str, steps: set[tuple[str, str]]) -> set[str]:
    found, edge = {start}, {start}
    while edge := {b for a, b in steps if a in edge} - found:
        found |= edge
    return found


def _lane(lane: str, y: float, events: Sequence[Event]) -> Lane:
    return Lane(lane, TITLES.get(lane, lane), y, sum(e.count for e in events if e.lane == lane))


def _diamond(x: float, y: float, r: float) -> str:
    return f"M{x} {y - r * 1.2:.1f} l{r * 1.2:.1f} {r * 1.2:.1f} {-r * 1.2:.1f} {r * 1.2:.1f} {-r * 1.2:.1f} {-r * 1.2:.1f}z"


def _triangle(x: float, y: float, r: float) -> str:
    return f"M{x} {y - r * 1.3:.1f} l{r * 1.35:.1f} {r * 2.2:.1f} {-r * 2.7:.1f} 0z"


def _square(x: float, y: float, r: float) -> str:
    return f"M{x - r * 0.9:.1f} {y - r * 0.9:.1f} h{r * 1.8:.1f} v{r * 1.8:.1f} h{-r * 1.8:.1f}z"


def _circle(x: float, y: float, r: float) -> str:
    return f"M{x - r:.1f} {y} a{r} {r} 0 1 0 {2 * r} 0 a{r} {r} 0 1 0 {-2 * r} 0z"


def _drop(x: float, y: float, r: float) -> str:
    """A triangle that points down: what fell out."""
    return f"M{x} {y + r * 1.4:.1f} l{r * 1.4:.1f} {-r * 2.3:.1f} {-r * 2.8:.1f} 0z"


def _hexagon(x: float, y: float, r: float) -> str:
    return f"M{x - r * 1.1:.1f} {y} l{r * 0.55:.1f} {-r} h{r * 1.1:.1f} l{r * 0.55:.1f} {r} {-r * 0.55:.1f} {r} h{-r * 1.1:.1f}z"


_SHAPES = {
    "critical": _diamond, "high": _triangle, "medium": _square, "low": _circle, "kept": _drop, "rule": _hexagon, "replay": _circle,
}  # fmt: skip


def _x(part: float) -> float:
    return LEFT + max(0.0, min(1.0, part)) * (WIDTH - LEFT - RIGHT)


def _short(count: int) -> str:
    return str(count) if count < 1000 else f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1_000_000:.0f}M"
