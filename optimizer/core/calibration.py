"""How well a proposer's promises were kept: what was expected against what was measured.

>>> score([Kept(0.10, 0.09, 0.05, 0.15), Kept(0.2, 0.02, 0.1, 0.3)])
Calibration(proposals=2, kept=1, bias=-0.095, error=0.095, trust=0.5)
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class Kept(Struct, frozen=True):
    """One proposal that was measured: expected gain, measured gain, the expected interval's ends."""

    expected: float
    measured: float
    low: float
    high: float


class Calibration(Struct, frozen=True):
    """``kept``: the measured gain was at least the lower end of what was promised. ``bias``: measured minus expected, on average (below 0:
    it promises too much). ``trust``: a share from 0 to 1 that begins at one half."""

    proposals: int
    kept: int
    bias: float
    error: float
    trust: float


def score(measured: Sequence[Kept]) -> Calibration:
    """The score of one proposer."""
    count = len(measured)
    if not count:
        return Calibration(0, 0, 0.0, 0.0, 0.5)
    gaps = [each.measured - each.expected for each in measured]
    kept = sum(each.measured >= each.low for each in measured)
    bias, error = sum(gaps) / count, sum(map(abs, gaps)) / count
    return Calibration(count, kept, round(bias, 6), round(error, 6), round((kept + 1) / (count + 2), 4))
