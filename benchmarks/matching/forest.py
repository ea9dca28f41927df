"""Boosted trees as the matcher's training grows them, and as its model file tells them: small, so that plain Python evaluates them in
microseconds, and the same to the last bit each time."""

from __future__ import annotations

from typing import Any

import lightgbm
from msgspec import Struct

from benchmarks.matching.table import Array

TREES = 120
SETTINGS: dict[str, Any] = {
    "objective": "binary",
    "max_depth": 4,
    "num_leaves": 16,
    "learning_rate": 0.15,
    "min_data_in_leaf": 30,
    "lambda_l2": 5.0,
    "max_bin": 63,
    "feature_fraction_bynode": 0.35,  # each split sees a third of the features: no single clue decides
    "num_threads": 1,  # sums in another order would be other numbers
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}
Node = list[float]
"""(feature, threshold, left, right): left where value <= threshold. feature -1: a leaf worth ``threshold``."""


class Forest(Struct):
    """Trees that were grown."""

    booster: Any

    def log_odds(self, x: Array) -> Array:
        """What they say of each line."""
        return self.booster.predict(x, raw_score=True)

    def trees(self, share: float) -> list[list[Node]]:
        """Every tree as nodes, its leaves worth ``share`` of what they say here."""
        return [_nodes(tree["tree_structure"], share) for tree in self.booster.dump_model()["tree_info"]]


def forest(x: Array, y: Array, weight: Array, seed: int) -> Forest:
    """Grows one; another seed, other chances."""
    data = lightgbm.Dataset(x, y, weight=weight, params=SETTINGS)
    return Forest(lightgbm.train({**SETTINGS, "seed": seed}, data, TREES))


def _nodes(top: dict[str, Any], share: float) -> list[Node]:
    """One after the other, each before its branches."""
    found: list[Node] = []

    def add(part: dict[str, Any]) -> int:
        here = len(found)
        found.append([-1, 0.0, 0, 0])
        if "leaf_value" in part:
            found[here] = [-1, round(part["leaf_value"] * share, 6), 0, 0]
        else:
            left, right = add(part["left_child"]), add(part["right_child"])
            found[here] = [part["split_feature"], round(part["threshold"], 6), left, right]
        return here

    add(top)
    return found
