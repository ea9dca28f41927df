"""What a share in few cases says of the true share, and how fast an error budget burns.

>>> [round(bound, 2) for bound in wilson(17, 20)]
[0.64, 0.95]
"""

from __future__ import annotations

from math import sqrt

from msgspec import Struct

Z95 = 1.959964


def wilson(successes: int, trials: int, z: float = Z95) -> tuple[float, float]:
    """Lower and upper bound of a share (Wilson 1927); (0, 1) without trials."""
    if trials <= 0:
        return 0.0, 1.0
    share = successes / trials
    scale = 1 + z * z / trials
    centre = (share + z * z / (2 * trials)) / scale
    spread = z * sqrt(share * (1 - share) / trials + z * z / (4 * trials * trials)) / scale
    return max(0.0, centre - spread), min(1.0, centre + spread)


class Share(Struct, frozen=True):
    """``good`` of ``all`` in one window."""

    good: float
    all: float

    @property
    def value(self) -> float | None:
        """The plain share; None of nothing."""
        return self.good / self.all if self.all else None


def surely_below(windows: tuple[Share, ...], bound: float, least: int = 100) -> bool:
    """Whether a share is below ``bound`` in every window, each with enough cases: a plain comparison cries wolf (16 % at n = 20)."""
    return bool(windows) and all(w.all >= least and wilson(int(w.good), int(w.all))[1] < bound for w in windows)


def surely_above(windows: tuple[Share, ...], bound: float, least: int = 100) -> bool:
    """Whether a share is above ``bound`` in every window, each with enough cases."""
    return bool(windows) and all(w.all >= least and wilson(int(w.good), int(w.all))[0] > bound for w in windows)


class BurnRule(Struct, frozen=True):
    """Alarm where the budget burns ``factor`` times too fast over both windows (seconds): Google's SRE workbook, chapter 5."""

    factor: float
    long: float
    short: float


BURN_RULES = (BurnRule(14.4, 3_600, 300), BurnRule(6.0, 21_600, 1_800), BurnRule(1.0, 259_200, 21_600))


def burn_rate(share: Share, objective: float) -> float:
    """How many times faster than allowed the budget ``1 - objective`` is spent; 0 of nothing."""
    value = share.value
    return 0.0 if value is None else (1 - value) / (1 - objective)


def burns(long: Share, short: Share, objective: float, rule: BurnRule) -> bool:
    """Whether both windows burn too fast: the long one says that it matters, the short one that it still goes on."""
    return burn_rate(long, objective) >= rule.factor and burn_rate(short, objective) >= rule.factor
