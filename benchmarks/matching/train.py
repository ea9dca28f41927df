"""Trains ``healing/core/match/model.json`` from the drift data, in a minute or two, without a network:

    python -m benchmarks.matching.train

Steps: questions -> features -> trees, cross-validated by project -> calibration on what no tree has seen -> trees on everything ->
a JSON file that a person can read. Needs numpy and scikit-learn (development only).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression

from benchmarks.drift import load
from benchmarks.matching.evidence import evidence
from benchmarks.matching.habits import habits_without
from benchmarks.matching.table import Array, Columns, Labels, everything, folds
from healing.core.match.features import FEATURES
from healing.core.match.model import Model

FOLDS = 10
BAG = 3
MODEL = Path(__file__).resolve().parents[2] / "healing" / "core" / "match" / "model.json"
Fitted = dict[str, Any]


def trees(x: Array, y: Array, weight: Array) -> list[HistGradientBoostingClassifier]:
    """The boosted trees; small, so that plain Python evaluates them in microseconds. Several, grown by other chances: their mean is
    steadier than each."""
    return [forest(seed).fit(x, y, sample_weight=weight) for seed in range(BAG)]


def forest(seed: int) -> HistGradientBoostingClassifier:
    return HistGradientBoostingClassifier(
        max_iter=60,
        max_depth=4,
        learning_rate=0.12,
        min_samples_leaf=30,
        l2_regularization=5.0,
        max_bins=48,
        max_features=0.35,  # each split sees a third of the features: no single clue decides
        early_stopping=False,
        random_state=seed,
    )


def log_odds(models: list[HistGradientBoostingClassifier], x: Array) -> Array:
    """The mean of what they say."""
    return np.mean([model.decision_function(x) for model in models], axis=0)


def exported(models: list[HistGradientBoostingClassifier]) -> Fitted:
    """The trees as nodes (feature, threshold, left, right); a leaf is (-1, value, 0, 0)."""
    found = [[_node(n) for n in predictor.nodes] for model in models for (predictor,) in model._predictors]
    return {"bias": round(float(np.mean([m._baseline_prediction.ravel()[0] for m in models])), 5), "trees": found}


def _node(node: Any) -> list[float]:
    if node["is_leaf"]:
        return [-1, round(float(node["value"]) / BAG, 6), 0, 0]
    return [int(node["feature_idx"]), float(node["num_threshold"]), int(node["left"]), int(node["right"])]


def shares(scores: Array, asked: Array) -> Array:
    """Probability of each line before calibration: over one key they sum to one at most."""
    p = 1 / (1 + np.exp(-scores))
    total = np.maximum(1.0, np.bincount(asked, weights=p))
    return p / total[asked]


def curve(p: Array, y: Array, weight: Array) -> Fitted:
    """A rising curve from share to observed frequency, in at most 20 points, pulled towards the share by two cases."""
    rising = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(p, y, sample_weight=weight)
    edges = np.unique(np.concatenate([[0.0], np.quantile(p[p > 0.02], np.linspace(0, 1, 18)), [1.0]]))
    heights = rising.predict(edges)
    near = np.array([np.sum(weight[np.abs(p - e) < 0.05]) for e in edges])
    heights = (heights * near + 2 * np.clip(edges, 0, 0.97)) / (near + 2)
    heights = 0.97 * np.maximum.accumulate(heights) + 0.03 * edges  # no plateau: what scores higher stays higher
    return {"x": [round(float(e), 4) for e in edges], "y": [round(float(h), 4) for h in heights]}


def label_weights(names: Labels, keep: Array) -> Fitted:
    """A plain logistic regression: a hundred cases bear no more."""
    found = LogisticRegression(C=0.5, max_iter=2000).fit(names.x[keep], names.y[keep])
    weights = zip(names.fields, found.coef_[0], strict=True)
    return {"bias": round(float(found.intercept_[0]), 4), "weights": {n: round(float(w), 4) for n, w in weights}}


def catch_all_share() -> float:
    """How often a key without a column belonged in a JSON column, where there is one."""
    cases = [c for c in load("wild") if c["problem"] == "unknown_column" and c["truth"]["action"] in ("none", "into_json")]
    held = [c for c in cases if any(e["type"] == "jsonb" for e in c["columns"])]
    return round((sum(c["truth"]["action"] == "into_json" for c in held) + 1) / (len(held) + 4), 3)


class Trained(msgspec.Struct):
    """The model for everything, and for each fold one that never saw its projects."""

    whole: Fitted
    unseen: list[Fitted]
    fold_of: dict[str, int]
    scores: Array
    """raw scores of every line by the trees that never saw it."""


def train(table: Columns, names: Labels) -> Trained:
    """Everything that is learned."""
    fold_of = folds(np.concatenate([table.project, names.project]), FOLDS)
    where, where_label = (np.array([fold_of[p] for p in projects]) for projects in (table.project, names.project))
    scores, parts = np.zeros(len(table.y)), []
    for fold in range(FOLDS):
        seen = where != fold
        fitted = trees(table.x[seen], table.y[seen], table.weight[seen])
        scores[~seen] = log_odds(fitted, table.x[~seen])
        parts.append(exported(fitted))
    p = shares(scores, table.asked)
    unseen = []
    for fold, part in enumerate(parts):
        seen = table.real & (where != fold)
        unseen.append(
            _model(part, curve(p[seen], table.y[seen], table.weight[seen]), label_weights(names, np.flatnonzero(where_label != fold)))
        )
    whole = _model(
        exported(trees(table.x, table.y, table.weight)),
        curve(p[table.real], table.y[table.real], table.weight[table.real]),
        label_weights(names, np.arange(len(names.y))),
    )
    return Trained(whole, unseen, fold_of, scores)


def _model(grown: Fitted, shape: Fitted, label: Fitted) -> Fitted:
    known = {"version": 2, "features": list(FEATURES), **grown, "curve": shape, "label": label}
    stamp = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:8]
    return {**known, "rescue": catch_all_share(), "drop": 0.05, "stamp": stamp}


def as_model(fitted: Fitted, project: str | None = None) -> Model:
    """The fitted numbers as the program reads them, with the habits of words in all projects but one."""
    return msgspec.structs.replace(msgspec.convert(fitted, Model), habits=habits_without(project))


class Judge:
    """For each project a model that never saw it."""

    def __init__(self, trained: Trained) -> None:
        self._trained = trained
        self._made: dict[str, Model] = {}

    def __call__(self, project: str) -> Model:
        if project not in self._made:
            fold = self._trained.fold_of.get(project)
            self._made[project] = as_model(self._trained.whole if fold is None else self._trained.unseen[fold], project)
        return self._made[project]


def written(model: Fitted) -> str:
    """JSON with a line for each tree and each part: a change can be read as a difference."""
    parts = [f'"{name}":{_text(value)}' for name, value in model.items()]
    return "{" + ",\n".join(parts) + "}\n"


def _text(value: Any) -> str:
    plain = json.dumps(value, separators=(",", ":"))
    if isinstance(value, dict) and any(isinstance(v, dict | list) for v in value.values()):
        return "{\n" + ",\n".join(f'"{k}":{json.dumps(v, separators=(",", ":"))}' for k, v in value.items()) + "}"
    if isinstance(value, list) and value and isinstance(value[0], list):
        return "[\n" + ",\n".join(json.dumps(v, separators=(",", ":")) for v in value) + "]"
    return plain


def main() -> None:
    """Writes the model."""
    table = everything()
    trained = train(table, Labels())
    counted = {name: list(counts) for name, counts in sorted(evidence(Judge(trained)).items())}
    model = {**trained.whole, "habits": msgspec.to_builtins(habits_without(None)), "evidence": counted}
    MODEL.write_text(written(model))
    size = MODEL.stat().st_size // 1024
    print(f"{len(table.questions)} questions, {len(table.y)} pairs, {len(model['trees'])} trees, {size} kB -> {MODEL.name}")


if __name__ == "__main__":
    main()
