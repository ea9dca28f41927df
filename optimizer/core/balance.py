"""Did each arm get its share of the events? If not, something other than the coin decided who went where, and nothing else can be believed.

The same kind of bet as in ``bounds``: a uniform mixture against the share that was meant; it may be looked at as often as one likes.

>>> uneven(control=500, candidate=500, share=0.5), uneven(control=600, candidate=400, share=0.5), uneven(950, 50, 0.05)
(False, True, False)
"""

from __future__ import annotations

from math import lgamma, log, log1p

ALPHA = 0.001
"""rarer than harm's: it stops an experiment that may be fine."""


def uneven(control: int, candidate: int, share: float, alpha: float = ALPHA) -> bool:
    """Whether so many events of each arm can hardly come from giving the candidate ``share`` of them."""
    if share <= 0.0 or share >= 1.0:
        return (candidate > 0) if share <= 0.0 else (control > 0)
    mixed = lgamma(control + 1) + lgamma(candidate + 1) - lgamma(control + candidate + 2)
    return mixed - candidate * log(share) - control * log1p(-share) >= -log(alpha)
