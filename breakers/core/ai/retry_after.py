"""When a service wants to be asked again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

MOST = 86_400.0


def retry_after(headers: Mapping[str, str], now: float) -> float | None:
    """Seconds from ``now`` (Unix time), by ``retry-after-ms`` or ``Retry-After`` (seconds or a date); None where neither can be read.

    >>> retry_after({"retry-after-ms": "1500"}, 0.0), retry_after({"Retry-After": "2"}, 0.0)
    (1.5, 2.0)
    """
    lower = {name.lower(): value.strip() for name, value in headers.items() if name.lower().startswith("retry-after")}
    exact = _number(lower.get("retry-after-ms", ""))
    if exact is not None:
        return _bounded(exact / 1000)
    given = lower.get("retry-after", "")
    seconds = _number(given)
    return _bounded(seconds) if seconds is not None else _until(given, now)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _until(text: str, now: float) -> float | None:
    try:
        at = parsedate_to_datetime(text)
        return _bounded((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() - now)
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _bounded(seconds: float) -> float:
    return min(MOST, max(0.0, seconds))
