"""Two settings in turns of time: is the candidate's turn slower than its neighbour's? Valid at every look, whatever the noise is like.

A shared setting cannot be split by event, so time is: of two neighbouring blocks a coin gives one to the candidate
(``healing.core.tuned``). If the setting changes nothing, the difference of such a pair is as likely ``+d`` as ``-d``, and then
``exp(b*S - b*b*V/2)`` (S the sum of the differences, V of their squares) is expected to be at most 1 for every b (de la Peña 1999).
That needs no variance and no bell curve. Mixed over positive b only, it sees harm only; several scales, as the noise is not known.

>>> calm, slower = Turns().see(*[0.01, -0.02, 0.015, -0.01] * 10), Turns().see(*[0.1, 0.12, 0.09, 0.11] * 4)
>>> calm.found(), slower.found()
(False, True)
>>> low, high = slower.interval()
>>> 0.05 < low < 0.105 < high < 0.2
True
"""

from __future__ import annotations

from math import erfc, exp, inf, log, sqrt

from msgspec import Struct

from optimizer.core.harm import ALPHA, mean_of_exp

SCALES = (1.0, 4.0, 16.0, 64.0, 256.0)
"""how large b is thought to be: right for differences of about 1, 1/4, … 1/256."""


class Turns(Struct, frozen=True):
    """The pairs so far, as sums of their differences (candidate minus control; above 0 is worse). ``peak``: the logarithm of the most that
    the evidence of harm ever was."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0
    peak: float = 0.0

    def see(self, *differences: float) -> Turns:
        """After more pairs, in their order."""
        count, total, squares, peak = self.count, self.total, self.squares, self.peak
        for each in differences:
            count, total, squares = count + 1, total + each, squares + each * each
            peak = max(peak, _mean(total, squares, one_sided=True))
        return Turns(count, total, squares, peak)

    def found(self, alpha: float = ALPHA) -> bool:
        """Whether harm was shown, now or by the first so many pairs."""
        return self.peak >= -log(alpha)

    @property
    def middle(self) -> float:
        """The mean difference; 0 of none."""
        return self.total / self.count if self.count else 0.0

    def interval(self, alpha: float = 0.1) -> tuple[float, float]:
        """Where the middle of the differences lies, at every look at once with probability 1 - alpha; infinite for too few."""
        spread = sqrt(max(0.0, self.squares / self.count - self.middle**2)) if self.count else 0.0
        step = max(1e-6, spread)
        return self._edge(-step, -log(alpha)), self._edge(step, -log(alpha))

    def _edge(self, step: float, limit: float) -> float:
        """The nearest centre on that side that the pairs speak against."""
        near, far = self.middle, self.middle + step
        for _ in range(20):
            if self._against(far) >= limit:
                break
            near, far = far, far + 2 * (far - self.middle)
        else:
            return inf if step > 0 else -inf
        for _ in range(40):
            between = (near + far) / 2
            near, far = (near, between) if self._against(between) >= limit else (between, far)
        return far

    def _against(self, centre: float) -> float:
        total = self.total - self.count * centre
        squares = self.squares - 2 * centre * self.total + self.count * centre * centre
        return _mean(total, max(0.0, squares), one_sided=False)


def _mean(total: float, squares: float, *, one_sided: bool) -> float:
    return mean_of_exp(tuple(_bet(total, squares, scale, one_sided) for scale in SCALES))


def _bet(total: float, squares: float, scale: float, one_sided: bool) -> float:
    """The logarithm of the mixture over b of one scale; with all the stake on b > 0 it is 2 Phi(z) times as much."""
    room = 1 + scale * scale * squares
    won = scale * scale * total * total / (2 * room) - log(room) / 2
    return won + log(_twice_phi(scale * total / sqrt(room))) if one_sided else won


def _twice_phi(z: float) -> float:
    """2 Phi(z), above 0 also where it is too small for a float."""
    return erfc(-z / sqrt(2)) if z > -8 else max(1e-300, 2 * exp(-z * z / 2) / (-z * sqrt(6.2831853)))
