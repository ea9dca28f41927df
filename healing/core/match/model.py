"""The trained model: boosted trees, a calibration curve and a few logistic weights, all readable JSON; evaluated in plain Python.

Trained by ``python -m benchmarks.matching.train`` from labelled histories; ``model.json`` beside this file is the result. It is
read once: a constant of the program, like its source.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import cache, cached_property
from importlib.resources import files
from math import exp
from typing import cast

import msgspec
from msgspec import Struct

from .features import FEATURES
from .habits import Habits

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
    def score(self) -> Callable[[list[float]], float]:
        """Raw log-odds that a key is meant for a column, for its features. The trees become one expression of Python, over a local
        variable for each feature: four times as fast as walking them. It is made of the numbers of the model only."""
        linear = [f"{float(w)!r} * f{i}" for i, w in enumerate(self.weights) if w]
        text = " + ".join([repr(float(self.bias)), *linear, *(_expression(tree, 0) for tree in self.trees)])
        names = ", ".join(f"f{i}" for i in range(len(self.features)))
        of = eval(f"lambda {names}: {text}", {"__builtins__": {}})  # noqa: S307 - numbers only
        return cast("Callable[[list[float]], float]", lambda features: of(*features))


def _expression(tree: Tree, at: int) -> str:
    feature, threshold, left, right = tree[at]
    if feature < 0:
        return repr(float(threshold))
    return f"({_expression(tree, left)} if f{int(feature)} <= {float(threshold)!r} else {_expression(tree, right)})"


def sigmoid(x: float) -> float:
    """1 / (1 + e^-x), safe for large x."""
    return 1 / (1 + exp(-x)) if x > -30 else 0.0


@cache
def shipped() -> Model:
    """The model that ships with the program; read once."""
    model = msgspec.json.decode(files(__package__).joinpath("model.json").read_bytes(), type=Model)
    if model.features != FEATURES:
        raise ValueError("model.json was trained for other features: run python -m benchmarks.matching.train")
    _ = model.score  # made now, not by the first payload that needs it
    return model
