"""A mergeable summary of many durations or sizes: quantiles with a relative error of at most 1 %.

Values fall into buckets whose bounds grow by a constant factor (Masson, Rim and Lee, "DDSketch", VLDB 2019), so that two sketches are
merged by adding counts, in any order, with the same result. Values below ``SMALLEST`` count as zero.

>>> sketch = Sketch()
>>> for value in (0.010, 0.020, 0.030): sketch.add(value)
>>> round(sketch.quantile(0.5), 3)
0.02
"""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, exp, inf, log

from msgspec import Struct, field

ERROR = 0.01
SMALLEST = 1e-9
_GROWTH = (1 + ERROR) / (1 - ERROR)
_PER_LOG = 1 / log(_GROWTH)
_LOG = log(_GROWTH)


class Sketch(Struct):
    """``buckets``: how many values lie in each; ``low`` and ``high`` are exact (both 0 where there are no values)."""

    buckets: dict[int, int] = field(default_factory=dict)
    zeros: int = 0
    count: int = 0
    total: float = 0.0
    least: float = inf
    most: float = 0.0

    def add(self, value: float, times: int = 1) -> None:
        """Counts a value (not negative, finite) so many times."""
        index = ceil(log(value) * _PER_LOG) if value >= SMALLEST else None
        self.count += times
        self.total += value * times
        if value > self.most:
            self.most = value
        if value < self.least:
            self.least = value
        if index is None:
            self.zeros += times
            return
        buckets = self.buckets
        buckets[index] = buckets.get(index, 0) + times

    def merge(self, other: Sketch) -> None:
        """Counts everything that the other has counted."""
        for index, count in other.buckets.items():
            self.buckets[index] = self.buckets.get(index, 0) + count
        self.zeros += other.zeros
        self.count += other.count
        self.total += other.total
        self.least = min(self.least, other.least)
        self.most = max(self.most, other.most)

    @property
    def mean(self) -> float | None:
        """The exact mean; None without values."""
        return self.total / self.count if self.count else None

    def quantile(self, q: float) -> float | None:
        """The value below which a share ``q`` (0 to 1) of all lies, within ``ERROR``; None without values."""
        if not self.count:
            return None
        rank, seen = q * (self.count - 1), self.zeros
        if rank <= 0 or rank < seen:
            return self.least
        if rank >= self.count - 1:
            return self.most
        for index in sorted(self.buckets):
            seen += self.buckets[index]
            if rank < seen:
                return min(self.most, max(self.least, _middle(index)))
        return self.most

    def below(self, bound: float) -> int:
        """How many values were at most ``bound``, to the bucket: for cumulative histograms."""
        if bound < SMALLEST:
            return self.zeros
        last = ceil(log(bound) * _PER_LOG)
        return self.zeros + sum(count for index, count in self.buckets.items() if index <= last)


def dump(sketch: Sketch) -> dict[str, object]:
    """Plain values, for JSON; ``load`` reads them."""
    least = sketch.least if sketch.count else 0.0
    flat = [part for index in sorted(sketch.buckets) for part in (index, sketch.buckets[index])]
    return {"b": flat, "z": sketch.zeros, "n": sketch.count, "s": sketch.total, "lo": least, "hi": sketch.most}


def load(plain: Mapping[str, object]) -> Sketch:
    """A sketch from what ``dump`` made."""
    flat = plain["b"]
    assert isinstance(flat, list)
    count, least = _whole(plain["n"]), _number(plain["lo"])
    buckets = dict(zip(flat[::2], flat[1::2], strict=True))
    return Sketch(buckets, _whole(plain["z"]), count, _number(plain["s"]), least if count else inf, _number(plain["hi"]))


def _middle(index: int) -> float:
    """The value of a bucket that is at most ``ERROR`` away from each of its values."""
    return 2 * exp(index * _LOG) / (_GROWTH + 1)


def _whole(value: object) -> int:
    assert isinstance(value, int)
    return value


def _number(value: object) -> float:
    assert isinstance(value, int | float)
    return float(value)
