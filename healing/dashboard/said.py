"""Numbers as people read them, with their unit. Pure.

>>> [said(0.9996, "share"), said(1840.0, "ms"), said(48210.0, "count"), said(None, "ms"), said(0.0031, "dollars")]
['99.96 %', '1.84 s', '48,210', '–', '$0.0031']
"""

from __future__ import annotations

from metrics.core.summary import Number

NOTHING = "–"


def said(value: float | None, unit: str) -> str:
    """The value with its unit; a dash for nothing. A share below 1 never reads 100 %, one above 0 never 0 %."""
    if value is None:
        return NOTHING
    match unit:
        case "share":
            return f"{_share(value * 100)} %"
        case "ms":
            return f"{_short(value / 1000)} s" if value >= 1000 else f"{_short(value)} ms"
        case "dollars":
            return f"${value:,.2f}" if value >= 0.1 or not value else f"${value:.2g}"
    return f"{value:,.0f}"


def target(number: Number) -> str:
    """What must be reached; '' where it only informs."""
    if number.target is None:
        return ""
    return f"{'≥' if number.better == 'up' else '≤'} {said(number.target, number.unit)}"


def change(number: Number, value: float | None, before: float | None) -> tuple[str, str]:
    """How it differs from the stretch before, and whether that is better, worse or neither; two empty texts where nothing can be said."""
    if value is None or before is None or value == before:
        return "", ""
    difference = value - before
    if abs(difference) < 1e-3 * abs(before):
        return "", ""
    text = f"{abs(difference) * 100:.2g} points" if number.unit == "share" else said(abs(difference), number.unit)
    if text in ("0", "0 ms"):
        return "", ""
    good = "" if not number.better else "better" if (difference > 0) == (number.better == "up") else "worse"
    return f"{'+' if difference > 0 else '−'}{text}", good


def _share(percent: float) -> str:
    if 0 < percent < 0.1:
        return f"{percent:.1g}"
    if 99 < percent < 100:
        return f"{min(percent, 99.99):.4g}"
    return f"{percent:.3g}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
