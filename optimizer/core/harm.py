"""Is the candidate worse than the control? A one-sided sequential test of two shares that may be looked at as often as one likes.

A mixture of sequential probability ratio tests: each part says "the candidate's odds are worse by this much", and bets on every new
batch against "both arms share one rate" (Turner, Ly and Grünwald 2021: for any true common rate the expected growth of such a bet is at
most 1, at every sample size). By Ville's inequality the mean of the bets passes 1/alpha with probability at most alpha when nothing is
wrong, however often somebody peeks. The guess of the control's rate is made of earlier batches only.

>>> start = Harm()
>>> worse = start.see(Arm(100, 95), Arm(100, 60)).see(Arm(100, 96), Arm(100, 58))
>>> start.found(), worse.found(), start.see(Arm(900, 880), Arm(900, 881)).found()
(False, True, False)
"""

from __future__ import annotations

from math import exp, log, log1p

from msgspec import Struct

ALPHA = 0.05
SHIFTS = (0.25, 0.5, 1.0, 2.0, 4.0)
"""log-odds by which the candidate may be worse; each has the same share of the stake."""
_PRIOR_GOOD, _PRIOR_ALL = 4.5, 5.0
"""what is believed of the control before anything was seen: nine of ten are good."""


class Arm(Struct, frozen=True):
    """``good`` of ``all`` events."""

    all: int = 0
    good: int = 0

    def plus(self, more: Arm) -> Arm:
        """Both together."""
        return Arm(self.all + more.all, self.good + more.good)

    @property
    def share(self) -> float | None:
        """The plain share; None of nothing."""
        return self.good / self.all if self.all else None


class Harm(Struct, frozen=True):
    """What was seen so far. ``bets``: the logarithm of what each part has won; ``peak``: the most that the mean ever was."""

    control: Arm = Arm()
    candidate: Arm = Arm()
    bets: tuple[float, ...] = (0.0,) * len(SHIFTS)
    peak: float = 0.0

    def see(self, control: Arm, candidate: Arm) -> Harm:
        """After one more batch of each arm (events since the last look)."""
        rate = _clipped((self.control.good + _PRIOR_GOOD) / (self.control.all + _PRIOR_ALL))
        bets = tuple(bet + _won(rate, shift, control, candidate) for bet, shift in zip(self.bets, SHIFTS, strict=True))
        return Harm(self.control.plus(control), self.candidate.plus(candidate), bets, max(self.peak, mean_of_exp(bets)))

    def found(self, alpha: float = ALPHA) -> bool:
        """Whether harm was shown, now or at an earlier look."""
        return self.peak >= -log(alpha)


def _won(rate: float, shift: float, control: Arm, candidate: Arm) -> float:
    """The logarithm of what a bet on ``rate`` against a rate that is worse by ``shift`` wins in one batch."""
    events = control.all + candidate.all
    if not events:
        return 0.0
    odds = rate / (1 - rate) * exp(-shift)
    worse = _clipped(odds / (1 + odds))
    common = (control.all * rate + candidate.all * worse) / events
    return _likelihood(control, rate) + _likelihood(candidate, worse) - _likelihood(control.plus(candidate), common)


def _likelihood(arm: Arm, rate: float) -> float:
    return arm.good * log(rate) + (arm.all - arm.good) * log1p(-rate)


def _clipped(rate: float) -> float:
    return min(1 - 1e-6, max(1e-6, rate))


def mean_of_exp(logs: tuple[float, ...]) -> float:
    """The logarithm of the mean of what these are the logarithms of, without overflow."""
    most = max(logs)
    return most + log(sum(exp(each - most) for each in logs) / len(logs))
