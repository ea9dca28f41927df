"""The trained model: boosted trees, a calibration curve and a few logistic weights, all readable JSON.

Trained by ``python -m benchmarks.matching.train`` from labelled histories; ``model.json`` beside this file is the result. It is
read once: a constant of the program, like its source.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import cache, cached_property
from importlib.resources import files
from math import exp
from operator import mul

import msgspec
from msgspec import Struct

from .features import FEATURES, OF_KEY, OF_WORDS
from .habits import Habits
from .layout import KINDS
from .leaves import Leaves, Tree, leaves


class Curve(Struct, frozen=True):
    """A rising curve through points: raw score -> probability, flat outside."""

    x: tuple[float, ...]
    y: tuple[float, ...]

    def at(self, value: float) -> float:
        """The curve's height at ``value``."""
        x, y = self.x, self.y
        if value <= x[0]:
            return y[0]
        if value >= x[-1]:
            return y[-1]
        i = bisect_right(x, value)
        share = (value - x[i - 1]) / (x[i] - x[i - 1]) if x[i] > x[i - 1] else 1.0
        return y[i - 1] + share * (y[i] - y[i - 1])


class Logistic(Struct, frozen=True):
    """A weighted sum through the logistic function."""

    bias: float
    weights: dict[str, float]

    def at(self, numbers: dict[str, float]) -> float:
        """The probability for named numbers; names without a weight are ignored."""
        return sigmoid(self.bias + sum(w * numbers.get(n, 0.0) for n, w in self.weights.items()))


class Model(Struct, frozen=True, dict=True):
    """Everything that was learned. ``features`` must be this program's own list: a model of another version is refused."""

    version: int
    features: tuple[str, ...]
    bias: float
    weights: tuple[float, ...]
    """one for each feature, added to what the trees say."""
    trees: tuple[Tree, ...]
    curve: Curve
    label: Logistic
    rescue: float
    """share of unknown keys without a column of their own that belonged in the jsonb catch-all, where there is one."""
    drop: float
    habits: Habits = Habits()
    stamp: str = ""
    """names this very model: what was decided about another's proposals says nothing of this one's."""
    evidence: dict[str, tuple[int, int]] = {}
    """operation/from which probability -> right, wrong: how often the best proposal would have been so, asked of models that never saw
    the project, each group of the data once."""

    @cached_property
    def leaves(self) -> Leaves:
        """The trees, ready to be asked."""
        place = {name: i for i, name in enumerate(self.features)}
        kinds = range(place[KINDS[0]], place[KINDS[-1]] + 1)
        return leaves(self.trees, {place[name] for name in OF_KEY}, kinds, [place[name] for name in OF_WORDS])

    def scores(self, rows: Sequence[list[float]]) -> list[float]:
        """Raw log-odds that a key is meant for each of some columns, for their features."""
        sums = self.leaves.sums(rows)
        return [self.bias + sum(map(mul, self.weights, row)) + trees for row, trees in zip(rows, sums, strict=True)]


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x), safe for large x."""
    return 1 / (1 + exp(-x)) if x > -30 else 0.0


@cache
def shipped() -> Model:
    """The model that ships with the program; read once."""
    model = msgspec.json.decode(files(__package__).joinpath("model.json").read_bytes(), type=Model)
    if model.features != FEATURES:
        raise ValueError("model.json was trained for other features: run python -m benchmarks.matching.train")
    _ = model.leaves  # made now, not by the first payload that needs it
    return model
