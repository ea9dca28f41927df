"""A trend in the size of a word: lines through the steps that have a value, broken where one has none. Pure geometry."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

WIDTH, HEIGHT, EDGE = 96.0, 22.0, 2.5


class Spark(Struct, frozen=True):
    """``path`` of an SVG of ``WIDTH`` × ``HEIGHT``; ``dot`` is where the last value lies, ``goal`` the height of a target in sight."""

    path: str
    dot: tuple[float, float] | None
    goal: float | None


def draw(values: Sequence[float | None], target: float | None = None) -> Spark:
    """The trend of these steps, oldest first."""
    known = [value for value in values if value is not None]
    if not known:
        return Spark("", None, None)
    low, high = _sight(known, target)
    places = [(_x(n, len(values)), _y(value, low, high)) if value is not None else None for n, value in enumerate(values)]
    last = next(place for place in reversed(places) if place is not None)
    return Spark(_path(places), last, None if target is None or not low <= target <= high else _y(target, low, high))


def _sight(known: Sequence[float], target: float | None) -> tuple[float, float]:
    """From the lowest to the highest value, the target with them where it is near: a far one would flatten the line."""
    low, high = min(known), max(known)
    room = max(high - low, abs(high) * 0.5)
    if target is not None and low - room <= target <= high + room:
        low, high = min(low, target), max(high, target)
    return (low, high) if high > low else (low - 1.0, high + 1.0)


def _path(places: Sequence[tuple[float, float] | None]) -> str:
    parts, pen_down = [], False
    for place in places:
        if place is not None:
            parts.append(f"{'L' if pen_down else 'M'}{place[0]} {place[1]}")
        pen_down = place is not None
    return "".join(parts)


def _x(n: int, count: int) -> float:
    return round(EDGE + (WIDTH - 2 * EDGE) * (n / (count - 1) if count > 1 else 1.0), 1)


def _y(value: float, low: float, high: float) -> float:
    return round(EDGE + (HEIGHT - 2 * EDGE) * (1 - (value - low) / (high - low)), 1)
