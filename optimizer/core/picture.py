"""Pictures of the log as numbers: expected against measured on one scale, and a setting's value over time as steps. Pure geometry."""

from __future__ import annotations

from collections.abc import Sequence
from math import isfinite

from msgspec import Struct

WIDTH, HEIGHT, EDGE = 600.0, 110.0, 8.0


class Bar(Struct, frozen=True):
    """One bar, in percent of the width: from nought to the middle, its interval, and the word that says it."""

    left: float
    width: float
    low: float
    high: float
    said: str


class Pair(Struct, frozen=True):
    """Expected and (once it is known) measured; ``zero`` is where nought lies."""

    zero: float
    expected: Bar
    measured: Bar | None


class Step(Struct, frozen=True):
    """From ``x`` on the value was at height ``y``."""

    x: float
    y: float
    said: str
    kind: str


class Steps(Struct, frozen=True):
    """A line of steps over ``WIDTH`` × ``HEIGHT``, with a mark at each."""

    path: str
    marks: tuple[Step, ...]
    low: str
    high: str


def pair(expected: dict[str, object], measured: dict[str, object] | None) -> Pair:
    """Both on one scale that holds nought and every end.

    >>> found = pair({"middle": 1.0, "low": 0.5, "high": 2.0, "unit": "writes"}, None)
    >>> found.zero, found.expected.width, found.expected.said
    (0.0, 50.0, '1 writes (0.5 to 2)')
    """
    ends = [0.0, *_numbers(expected), *(_numbers(measured) if measured else ())]
    low, high = min(ends), max(ends)
    scale = 100 / ((high - low) or 1.0)

    def place(value: float) -> float:
        return float(round((value - low) * scale, 2))

    def bar(given: dict[str, object]) -> Bar:
        middle, down, up = _numbers(given)
        ends = sorted((place(0.0), place(middle)))
        return Bar(ends[0], max(0.5, ends[1] - ends[0]), place(down), place(up), said(middle, down, up, str(given.get("unit", ""))))

    return Pair(place(0.0), bar(expected), bar(measured) if measured else None)


def said(middle: float, low: float, high: float, unit: str) -> str:
    """A number with its interval and unit."""
    if unit.startswith("share"):
        return f"{middle:+.1%} ({low:+.1%} to {high:+.1%})"
    exact = low == middle == high
    return f"{middle:.3g} {unit}" + ("" if exact else f" ({low:.3g} to {high:.3g})")


def steps(values: Sequence[tuple[float, float, str, str]], start: float, end: float) -> Steps:
    """``values``: (when, value, words, kind) in order; ``start`` and ``end`` bound the time."""
    if not values:
        return Steps("", (), "", "")
    low, high = min(v for _, v, _, _ in values), max(v for _, v, _, _ in values)
    room = (high - low) or abs(high) or 1.0
    span = (end - start) or 1.0
    marks, path = [], ""
    for at, value, words, kind in values:
        x = round(EDGE + (WIDTH - 2 * EDGE) * min(1.0, max(0.0, (at - start) / span)), 1)
        y = round(EDGE + (HEIGHT - 2 * EDGE) * (1 - (value - low) / room), 1)
        path += f"H{x}V{y}" if path else f"M{x} {y}"
        marks.append(Step(x, y, words, kind))
    return Steps(f"{path}H{WIDTH - EDGE}", tuple(marks), f"{low:g}", f"{high:g}")


def _numbers(given: dict[str, object]) -> tuple[float, float, float]:
    found = []
    for name in ("middle", "low", "high"):
        value = given.get(name)
        found.append(float(value) if isinstance(value, int | float) and isfinite(value) else 0.0)
    return found[0], found[1], found[2]
