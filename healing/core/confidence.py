"""How sure one may be that a rule is right, from how often it was: the lower bound of a Beta posterior."""

from __future__ import annotations

import math


def lower_bound(successes: int, failures: int, level: float = 0.95) -> float:
    """The rate that the true success rate exceeds with probability ``level``, after a uniform prior.

    >>> round(lower_bound(0, 0), 3), round(lower_bound(58, 0), 2)
    (0.05, 0.95)
    """
    a, b, low, high = successes + 1.0, failures + 1.0, 0.0, 1.0
    for _ in range(50):
        middle = (low + high) / 2
        if regularized_beta(a, b, middle) < 1 - level:
            low = middle
        else:
            high = middle
    return low


def interval(successes: int, failures: int, level: float = 0.95) -> tuple[float, float]:
    """Between these the true success rate lies with probability ``2 * level - 1``: each bound is missed with probability ``1 - level``.

    >>> [round(bound, 2) for bound in interval(58, 0)]
    [0.95, 1.0]
    """
    return lower_bound(successes, failures, level), 1 - lower_bound(failures, successes, level)


def regularized_beta(a: float, b: float, x: float) -> float:
    """The Beta(a, b) distribution function at ``x``, by its continued fraction (Lentz)."""
    if x <= 0.0 or x >= 1.0:
        return 0.0 if x <= 0.0 else 1.0
    if x > (a + 1) / (a + b + 2):
        return 1.0 - regularized_beta(b, a, 1.0 - x)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    return front * _fraction(a, b, x)


def _fraction(a: float, b: float, x: float) -> float:
    tiny, c = 1e-300, 1.0
    d = 1.0 / _away(1.0 - (a + b) * x / (a + 1), tiny)
    total = d
    for m in range(1, 500):
        even = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        odd = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        before = total
        for part in (even, odd):
            d = 1.0 / _away(1.0 + part * d, tiny)
            c = _away(1.0 + part / c, tiny)
            total *= d * c
        if abs(total - before) < 1e-15 * abs(total):
            break
    return total


def _away(value: float, tiny: float) -> float:
    return value if abs(value) > tiny else tiny
