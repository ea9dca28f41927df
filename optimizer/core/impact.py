"""What a change brought, said like what was expected of it: above 0 is better, with an interval."""

from __future__ import annotations

from math import expm1, isfinite

from metrics.core.evidence import wilson
from optimizer.core import bounds
from optimizer.core.harm import Harm
from optimizer.core.idea import Expected
from optimizer.core.pairs import Turns


def of_turns(turns: Turns) -> Expected:
    """The part of the time that was gained."""
    low, high = turns.interval()
    return Expected("time of a write", -expm1(turns.middle), _end(-high), _end(-low), "share of it")


def of_split(harm: Harm, metric: str) -> Expected:
    """Points that were gained."""
    low, high = bounds.difference(harm.control, harm.candidate)
    middle = (harm.candidate.share or 0.0) - (harm.control.share or 0.0)
    return Expected(metric, middle, low, high, "share")


def of_share(metric: str, good: int, every: int) -> Expected:
    """A share, as it turned out."""
    low, high = wilson(good, every)
    return Expected(metric, good / every if every else 0.0, low, high, "share")


def of_count(metric: str, count: int, unit: str) -> Expected:
    """A number that was counted, not estimated."""
    return Expected(metric, float(count), float(count), float(count), unit)


def _end(value: float) -> float:
    return min(1.0, max(-1.0, expm1(value))) if isfinite(value) else (1.0 if value > 0 else -1.0)
