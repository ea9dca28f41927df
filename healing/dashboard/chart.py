"""A chart as values: what is drawn, the same as a table, and a sentence for who does not see it. The browser only draws."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal

from msgspec import Struct

Cell = str | int | float | None


class Trace(Struct, frozen=True, kw_only=True):
    """One line, or one layer of bars; a value for each of the chart's times. ``colour`` is a word of the style sheet."""

    name: str
    values: Sequence[float | None]
    colour: str
    kind: Literal["line", "bar", "dash"] = "line"
    right: bool = False
    """Whether it is read off the right axis."""


class Bar(Struct, frozen=True):
    """A stretch in a lane."""

    lane: str
    start: datetime
    end: datetime
    state: str
    text: str


class Marker(Struct, frozen=True):
    """Something that happened at a moment, on top of a chart."""

    at: datetime
    text: str
    link: str
    severity: str


class Chart(Struct, frozen=True, kw_only=True):
    """``times`` are the beginnings of steps. ``unit`` of the left axis, ``right_unit`` of the right one. ``empty`` says why nothing is
    drawn, else ''."""

    title: str
    sentence: str
    unit: str
    start: datetime
    end: datetime
    columns: Sequence[str]
    rows: Sequence[Sequence[Cell]]
    times: Sequence[datetime] = ()
    traces: Sequence[Trace] = ()
    bars: Sequence[Bar] = ()
    markers: Sequence[Marker] = ()
    right_unit: str = ""
    target: float | None = None
    note: str = ""
    empty: str = ""
    lanes: Sequence[str] = ()
    stacked: bool = False
    step: float = 0.0
    """Seconds between two times."""


def table(times: Sequence[datetime], columns: Sequence[str], *values: Sequence[Any]) -> tuple[list[str], list[list[Cell]]]:
    """Columns and rows: one row for each time (UTC, as ISO 8601)."""
    rows = [[at.isoformat(), *(round(v, 6) if isinstance(v, float) else v for v in row)] for at, *row in zip(times, *values, strict=True)]
    return ["time", *columns], rows
