"""The picture of one fault: tries over time, fine ones up, troubled ones down, the fault's time shaded. Values for an SVG."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

WIDTH, HALF = 600.0, 40.0


class Bar(Struct, frozen=True):
    """Fine tries above the line, troubled ones below."""

    x: float
    width: float
    up: float
    top: float
    down: float


class Picture(Struct, frozen=True):
    """``left`` and ``span``: where the fault is. ``said``: the same in words."""

    bars: list[Bar]
    left: float
    span: float
    seconds: float
    said: str


def drawn(part: dict[str, Any]) -> Picture:
    """Of a fault in a report."""
    bars = part["picture"]["bars"]
    most = max(1, *(max(fine, troubled) for fine, troubled in bars))
    width = WIDTH / len(bars)
    found = [
        Bar(round(number * width, 2), round(max(width - 0.6, 0.4), 2), round(fine / most * HALF, 2), round(HALF - fine / most * HALF, 2),
            round(troubled / most * HALF, 2))
        for number, (fine, troubled) in enumerate(bars)
    ]  # fmt: skip
    seconds = len(bars) * part["picture"]["step"]
    span = min(1.0, (part["lifted"] - part["begun"]) / seconds) * WIDTH if part["fault"] else 0.0
    lasted = part["lifted"] - part["begun"]
    said = f"{part['tries']} tries in {seconds:.0f} seconds, {part['troubled']} troubled; the fault lasted {lasted:.1f} s"
    return Picture(found, 0.0, round(span, 2), round(seconds, 1), said)
