"""Bounds of a share, and of the difference of two, that hold at every look at once.

A uniform mixture over all rates against the true one is a martingale; where it passes 1/alpha that rate is ruled out (Robbins 1970).

>>> low, high = share_bounds(Arm(1000, 990))
>>> 0.97 < low < 0.99 < high < 1.0
True
>>> low, high = difference(Arm(3000, 3000), Arm(3000, 3000))
>>> low > -0.01, high < 0.01
(True, True)
"""

from __future__ import annotations

from math import lgamma, log, log1p

from optimizer.core.harm import Arm

LEVEL = 0.1
"""a two-sided interval of 90 %: each of its ends is passed with probability 5 % at most."""


def share_bounds(arm: Arm, alpha: float = LEVEL / 2) -> tuple[float, float]:
    """Lower and upper bound of a share; (0, 1) of nothing. Each is passed with probability ``alpha / 2``, ever."""
    if not arm.all:
        return 0.0, 1.0
    good, bad = arm.good, arm.all - arm.good
    mixed = lgamma(good + 1) + lgamma(bad + 1) - lgamma(arm.all + 2)
    limit = -log(alpha / 2)
    return _edge(good, bad, mixed, limit, down=True), _edge(good, bad, mixed, limit, down=False)


def difference(control: Arm, candidate: Arm, alpha: float = LEVEL) -> tuple[float, float]:
    """Bounds of the candidate's share minus the control's."""
    low_a, high_a = share_bounds(control, alpha / 2)
    low_b, high_b = share_bounds(candidate, alpha / 2)
    return low_b - high_a, high_b - low_a


def _edge(good: int, bad: int, mixed: float, limit: float, *, down: bool) -> float:
    share = good / (good + bad)
    if share == (0.0 if down else 1.0):
        return share
    near, far = share, (0.0 if down else 1.0)
    for _ in range(50):
        between = (near + far) / 2
        if mixed - _likelihood(good, bad, between) >= limit:
            far = between
        else:
            near = between
    return far


def _likelihood(good: int, bad: int, rate: float) -> float:
    return (good * log(rate) if good else 0.0) + (bad * log1p(-rate) if bad else 0.0)
