"""Small line charts as SVG, for the report: readable in light and dark, each line told by its mark and its name, not by colour alone."""

from __future__ import annotations

from html import escape

from msgspec import Struct

WIDTH, HEIGHT, LEFT, TOP, RIGHT, BOTTOM = 760, 360, 56, 36, 230, 44
COLOURS = ("#0b5cad", "#b3470f", "#2c7a2c", "#7a3fa0", "#8a6d00", "#a0224e", "#00767a", "#555555")
DASHES = ("", "6 3", "2 3", "8 3 2 3", "1 4", "10 4", "4 2 1 2", "3 6")
Point = tuple[float, float]


class Line(Struct):
    """A name and its points, both axes 0..1."""

    name: str
    points: list[Point]


def chart(title: str, across: str, up: str, lines: list[Line], diagonal: bool = False) -> str:
    """One picture."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" role="img">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
        f'<text x="{LEFT}" y="20" font-size="14" fill="#111">{escape(title)}</text>',
        *_grid(across, up),
    ]
    if diagonal:
        parts.append(_path([(0.0, 0.0), (1.0, 1.0)], "#999999", "3 3", 1))
    for number, line in enumerate(lines):
        parts += _drawn(number, line)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _grid(across: str, up: str) -> list[str]:
    found = []
    for step in range(6):
        share = step / 5
        x, y = _at((share, share))
        right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM
        found.append(f'<line x1="{LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}" stroke="#dddddd"/>')
        found.append(f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end" fill="#333">{share:.0%}</text>')
        found.append(f'<text x="{x:.1f}" y="{bottom + 16}" text-anchor="middle" fill="#333">{share:.0%}</text>')
    middle = LEFT + (WIDTH - LEFT - RIGHT) / 2
    found.append(f'<text x="{middle:.0f}" y="{HEIGHT - 8}" text-anchor="middle" fill="#333">{escape(across)}</text>')
    found.append(
        f'<text transform="translate(14 {TOP + (HEIGHT - TOP - BOTTOM) / 2:.0f}) rotate(-90)" text-anchor="middle" fill="#333">'
        f"{escape(up)}</text>"
    )
    return found


def _drawn(number: int, line: Line) -> list[str]:
    colour, dash = COLOURS[number % len(COLOURS)], DASHES[number % len(DASHES)]
    width = 3 if number == 0 else 1.5
    y, x = TOP + 14 + 20 * number, WIDTH - RIGHT + 14
    return [
        _path(line.points, colour, dash, width),
        f'<line x1="{x}" x2="{x + 28}" y1="{y}" y2="{y}" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}"/>',
        f'<text x="{x + 34}" y="{y + 4}" fill="#111">{escape(line.name)}</text>',
    ]


def _path(points: list[Point], colour: str, dash: str, width: float) -> str:
    told = " ".join(f"{x:.1f},{y:.1f}" for x, y in map(_at, points))
    return f'<polyline points="{told}" fill="none" stroke="{colour}" stroke-width="{width}" stroke-dasharray="{dash}"/>'


def _at(point: Point) -> Point:
    x, y = point
    return LEFT + x * (WIDTH - LEFT - RIGHT), HEIGHT - BOTTOM - y * (HEIGHT - TOP - BOTTOM)
