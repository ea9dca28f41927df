"""The quarter as a picture: what the AI fixed and was asked, and success by week, as lines; decisions of people as bars. Plain SVG."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

WIDTH, HEIGHT, LEFT, TOP, BOTTOM = 760, 340, 60, 40, 280
AI, ASKED, GOOD, PEOPLE = "#c026d3", "#2563eb", "#0f766e", "#cbd5e1"


def draw(path: Path, weeks: Sequence[tuple[float, float, float, int]]) -> None:
    """``weeks``: (AI fix rate, askings of the AI a write that did not fit, landed right, decisions)."""
    most = max(40, max(week[3] for week in weeks))
    step = (WIDTH - LEFT - 30) / max(1, len(weeks) - 1)
    xs = [LEFT + n * step for n in range(len(weeks))]
    bars = "".join(
        f'<rect x="{x - 9:.1f}" y="{_y(d / most):.1f}" width="18" height="{BOTTOM - _y(d / most):.1f}" fill="{PEOPLE}"/>'
        f'<text x="{x:.1f}" y="{_y(d / most) - 4:.1f}" text-anchor="middle" fill="#64748b">{d}</text>'
        for x, (_, _, _, d) in zip(xs, weeks, strict=True)
    )
    lines = "".join(_line(xs, [week[n] for week in weeks], colour) for n, colour in enumerate((AI, ASKED, GOOD)))
    marks = "".join(
        f'<line x1="{LEFT}" x2="{WIDTH - 30}" y1="{_y(v):.1f}" y2="{_y(v):.1f}" stroke="#e2e8f0"/>'
        f'<text x="{LEFT - 8}" y="{_y(v) + 4:.1f}" text-anchor="end" fill="#64748b">{v:.0%}</text>'
        for v in (0, 0.25, 0.5, 0.75, 1)
    )
    aim = f'<line x1="{LEFT}" x2="{WIDTH - 30}" y1="{_y(0.15):.1f}" y2="{_y(0.15):.1f}" stroke="{AI}" stroke-dasharray="5 4"/>'
    names = "".join(f'<text x="{x:.1f}" y="{BOTTOM + 18}" text-anchor="middle" fill="#64748b">{n}</text>' for n, x in enumerate(xs, 1))
    words = ((AI, "fixed by AI (aim &lt; 15 %)"), (ASKED, "AI asked, a write"), (GOOD, "landed right"), (PEOPLE, "decisions of people"))
    key = "".join(
        f'<rect x="{LEFT + 175 * n}" y="14" width="12" height="12" fill="{colour}"/><text x="{LEFT + 175 * n + 18}" y="24">{word}</text>'
        for n, (colour, word) in enumerate(words)
    )
    path.write_text(
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" font-family="sans-serif" font-size="12" role="img">'
        f"<title>A simulated quarter: who fixes what, week by week</title>"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>{marks}{bars}{aim}{lines}{names}{key}'
        f'<text x="{WIDTH / 2}" y="{HEIGHT - 14}" text-anchor="middle" fill="#64748b">week</text></svg>\n'
    )


def _y(share: float) -> float:
    return BOTTOM - (BOTTOM - TOP) * share


def _line(xs: Sequence[float], shares: Sequence[float], colour: str) -> str:
    points = " ".join(f"{x:.1f},{_y(share):.1f}" for x, share in zip(xs, shares, strict=True))
    dots = "".join(f'<circle cx="{x:.1f}" cy="{_y(share):.1f}" r="3.5" fill="{colour}"/>' for x, share in zip(xs, shares, strict=True))
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2.5"/>{dots}'
