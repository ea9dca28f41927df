"""A probability as people read it."""

from __future__ import annotations


def percent(probability: float) -> str:
    """Whole percents, as exact as a calibrated guess is; near the ends so many digits that it is not rounded to certainty.

    >>> [percent(p) for p in (1.0, 0.99996, 0.9912, 0.6387, 0.004, 0.0)]
    ['100 %', '99.99 %', '99.12 %', '64 %', '0.4 %', '0 %']
    """
    share = probability * 100
    if 1 <= share < 99:
        return f"{share:.0f} %"
    return f"{min(share, 99.99 if probability < 1 else 100):.4g} %" if share >= 99 else f"{share:.1g} %"
