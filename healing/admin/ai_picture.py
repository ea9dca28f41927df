"""Pictures of the AI pages, drawn on the server: chains, attempts over time, spend by day. Colours come from the style sheet."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from msgspec import Struct

from breakers.models import AiModel

_DAY_WIDTH, _HEIGHT = 12, 120
_ARROW = SafeString('<span class="mg-arrow" aria-label="then">→</span>')


class Bar(Struct, frozen=True):
    """One attempt as a part of the whole time, in percent."""

    left: float
    width: float
    outcome: str


def chain(row: AiModel) -> SafeString:
    """``big (acme) → small (other)``; who is off is struck out."""
    others = [each.fallback for each in row.fallbacks.all()]
    boxes = [_box(each) for each in (row, *others)]
    return format_html('<span class="mg-chain">{}</span>', format_html_join(_ARROW, "{}", ((box,) for box in boxes)))


def _box(model: AiModel) -> SafeString:
    on = model.enabled and model.provider.enabled
    title = "" if on else "off: the next one answers"
    return format_html(
        '<span class="mg-model{}" title="{}"><b>{}</b> <span>{}</span></span>',
        "" if on else " mg-off",
        title,
        model.name,
        model.provider.name,
    )


def bars(attempts: Sequence[dict[str, Any]], total: float) -> list[Bar]:
    """Each attempt after the one before."""
    whole = max(total, sum(float(each.get("seconds") or 0) for each in attempts), 0.001)
    found, left = [], 0.0
    for each in attempts:
        width = float(each.get("seconds") or 0) / whole * 100
        found.append(Bar(round(left, 2), round(max(width, 0.6), 2), str(each.get("outcome", ""))))
        left += width
    return found


def by_day(days: Iterable[tuple[date, float, float]], first: date, count: int) -> SafeString:
    """Cost and what was saved, a column a day."""
    known = {day: (cost, saved) for day, cost, saved in days}
    most = max((cost + saved for cost, saved in known.values()), default=0.0)
    columns = [_column(number, first + timedelta(days=number), known, most) for number in range(count)]
    return format_html(
        '<svg class="mg-days" viewBox="0 0 {} {}" preserveAspectRatio="none" role="img" aria-label="Cost and savings by day">{}</svg>',
        count * _DAY_WIDTH,
        _HEIGHT,
        format_html_join("", "{}", ((each,) for each in columns)),
    )


def _column(number: int, day: date, known: dict[date, tuple[float, float]], most: float) -> SafeString:
    cost, saved = known.get(day, (0.0, 0.0))
    scale = (_HEIGHT - 4) / most if most else 0.0
    high, above = round(cost * scale, 2), round(saved * scale, 2)
    return format_html(
        '<g><title>{}: ${} spent, ${} saved</title><rect class="mg-none" x="{x}" y="0" width="10" height="{all}"/>'
        '<rect class="mg-spent" x="{x}" y="{}" width="10" height="{}"/><rect class="mg-saved" x="{x}" y="{}" width="10" height="{}"/></g>',
        day, f"{cost:.4f}", f"{saved:.4f}", _HEIGHT - high, high, _HEIGHT - high - above, above, x=number * _DAY_WIDTH + 1, all=_HEIGHT,
    )  # fmt: skip
