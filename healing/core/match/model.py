"""The trained model: boosted trees, a calibration curve and a few logistic weights, all readable JSON; evaluated in plain Python.

Trained by ``python -m benchmarks.matching.train`` from labelled histories; ``model.json`` beside this file is the result. It is
read once: a constant of the program, like its source.
"""

from __future__ import annotations

from bisect import bisect_right
from functools import cache
from importlib.resources import files
from math import exp

import msgspec
from msgspec import Struct

from .features import FEATURES

Tree = tuple[tuple[int, float, int, int], ...]
"""Nodes (feature, threshold, left, right): left where value <= threshold. feature -1: a leaf worth ``threshold``."""


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


class Model(Struct, frozen=True):
    """Everything that was learned. ``features`` must be this program's own list: a model of another version is refused."""

    version: int
    features: tuple[str, ...]
    bias: float
    trees: tuple[Tree, ...]
    curve: Curve
    label: Logistic
    rescue: float
    """share of unknown keys without a column of their own that belonged in the jsonb catch-all, where there is one."""
    drop: float


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x), safe for large x."""
    return 1 / (1 + exp(-x)) if x > -30 else 0.0


def score(model: Model, features: list[float]) -> float:
    """Raw log-odds that a key is meant for a column."""
    total = model.bias
    for tree in model.trees:
        feature, threshold, left, right = tree[0]
        while feature >= 0:
            feature, threshold, left, right = tree[left if features[feature] <= threshold else right]
        total += threshold
    return total


@cache
def shipped() -> Model:
    """The model that ships with the program; read once."""
    model = msgspec.json.decode(files(__package__).joinpath("model.json").read_bytes(), type=Model)
    if model.features != FEATURES:
        raise ValueError("model.json was trained for other features: run python -m benchmarks.matching.train")
    return model
