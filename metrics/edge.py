"""What edge functions measured themselves (``POST /api/v1/metrics/edge``): bounded, and counted among the metrics.

A bucket says only "at most 2^n milliseconds": its calls are put at three quarters of that and scaled, so that the mean stays exact.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from metrics.core.count import OTHER
from metrics.core.figures import Figures
from metrics.core.observation import EdgeTimed
from metrics.recorder import recorder

BUCKETS = 18
MOST_NAMES = 200
"""by all functions, in one process; further ones are told together."""
_NAME = re.compile(r"[A-Za-z0-9_.:/ -]{1,60}")
_known: set[str] = set()


def take(name: str, calls: int, errors: int, total_ms: float, buckets: Sequence[int]) -> None:
    """Counts one name's timings. Raises ``ValueError`` where the numbers contradict each other."""
    if len(buckets) != BUCKETS or min(buckets) < 0 or sum(buckets) != calls or not 0 <= errors <= calls or not 0 <= total_ms < 1e12:
        raise ValueError(f"the numbers of {name!r} contradict each other")
    recorder.observe(EdgeTimed(_admitted(name), calls, errors, spread(total_ms, buckets)))


def spread(total_ms: float, buckets: Sequence[int]) -> tuple[tuple[float, int], ...]:
    """Seconds and how often.

    >>> spread(30.0, [0, 0, 0, 0, 2] + [0] * 13)
    ((0.015, 2),)
    """
    guessed = [(0.75 * 2**index, count) for index, count in enumerate(buckets) if count]
    sum_ms = sum(ms * count for ms, count in guessed)
    scale = total_ms / sum_ms / 1000 if sum_ms else 0.0
    return tuple((ms * scale, count) for ms, count in guessed)


def told(figures: Figures) -> dict[str, dict[str, float | int | None]]:
    """By name: calls, errors, mean and 95th percentile in milliseconds."""
    found: dict[str, dict[str, float | int | None]] = {}
    for (name,), calls in figures.by("mendgate_edge_calls_total", "call").items():
        times = figures.sketch("mendgate_edge_seconds", call=name)
        errors = figures.total("mendgate_edge_calls_total", call=name, ok="no")
        found[name] = {"calls": int(calls), "errors": int(errors), "mean": _ms(times.mean), "p95": _ms(times.quantile(0.95))}
    return found


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def _admitted(name: str) -> str:
    if name in _known:
        return name
    if _NAME.fullmatch(name) is None or len(_known) >= MOST_NAMES:
        return OTHER
    _known.add(name)
    return name
