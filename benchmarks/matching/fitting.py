"""Fits the trees, the calibration curve and the label weights. See ``train``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.isotonic import IsotonicRegression
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold

from benchmarks.drift import load, schema_of
from benchmarks.matching.cases import SETTINGS, Question, renames, wild
from healing.core.match import labels
from healing.core.match.features import FEATURES, pairs
from healing.core.match.scene import labels_of, scene_of

FOLDS = 10
SEEDS = (0, 1)
WILD_WEIGHT = 3.0
Array = Any


class Table:
    """Questions as a matrix: one line for each key and promising column."""

    def __init__(self, questions: list[Question]) -> None:
        lines: list[list[float]] = []
        right: list[bool] = []
        asked: list[int] = []
        self.names: list[str] = []
        self.questions: list[tuple[Question, str]] = []
        for question in questions:
            scene = scene_of(question.statement, question.misfits, question.schema.relation, question.schema.snapshot, question.newer)
            for key, row in zip(scene.keys, pairs(scene), strict=True):
                if key.text not in question.answers:
                    continue
                number = len(self.questions)
                self.questions.append((question, key.text))
                for pair in row:
                    lines.append(pair.features)
                    right.append(pair.target.column.name == question.answers[key.text])
                    asked.append(number)
                    self.names.append(pair.target.column.name)
        self.x, self.y, self.asked = np.array(lines, float), np.array(right, int), np.array(asked)
        self.project = np.array([self.questions[i][0].project for i in asked])
        self.weight = np.array([WILD_WEIGHT if self.questions[i][0].source == "wild" else 1.0 for i in asked]) / len(SEEDS)


def trees(x: Array, y: Array, weight: Array) -> HistGradientBoostingClassifier:
    """The boosted trees; small, so that plain Python evaluates them in microseconds."""
    model = HistGradientBoostingClassifier(
        max_iter=90, max_depth=4, learning_rate=0.08, min_samples_leaf=30, l2_regularization=5.0, max_bins=48, random_state=0
    )
    return model.fit(x, y, sample_weight=weight)


def unseen_scores(table: Table) -> Array:
    """Raw scores of every line by trees that never saw its project."""
    scores = np.zeros(len(table.y))
    for train, test in GroupKFold(FOLDS, shuffle=True, random_state=0).split(table.x, table.y, table.project):
        scores[test] = trees(table.x[train], table.y[train], table.weight[train]).decision_function(table.x[test])
    return scores


def shares(scores: Array, asked: Array) -> Array:
    """Probability of each line before calibration: over one key they sum to one at most."""
    p = 1 / (1 + np.exp(-scores))
    total = np.maximum(1.0, np.bincount(asked, weights=p))
    return p / total[asked]


def curve(p: Array, y: Array, weight: Array) -> dict[str, list[float]]:
    """A rising curve from share to observed frequency, in at most 20 points, pulled away from 0 and 1 by a prior of two cases."""
    rising = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(p, y, sample_weight=weight)
    edges = np.unique(np.concatenate([[0.0], np.quantile(p[p > 0.02], np.linspace(0, 1, 18)), [1.0]]))
    heights = rising.predict(edges)
    near = np.array([np.sum(weight[np.abs(p - e) < 0.05]) for e in edges])
    heights = (heights * near + 2 * np.clip(edges, 0, 0.97)) / (near + 2)
    return {"x": [round(float(e), 4) for e in edges], "y": [round(float(h), 4) for h in np.maximum.accumulate(heights)]}


def exported(model: HistGradientBoostingClassifier) -> dict[str, Any]:
    """The trees as nodes (feature, threshold, left, right); a leaf is (-1, value, 0, 0)."""
    out = []
    for (predictor,) in model._predictors:
        out.append(
            [
                [-1, round(float(n["value"]), 5), 0, 0]
                if n["is_leaf"]
                else [int(n["feature_idx"]), float(n["num_threshold"]), int(n["left"]), int(n["right"])]
                for n in predictor.nodes
            ]
        )
    return {"bias": round(float(model._baseline_prediction.ravel()[0]), 5), "trees": out}


class Labels:
    """Allowed values for refused ones, one line each."""

    def __init__(self) -> None:
        self.cases = [
            c
            for c in load("wild")
            if c["problem"] == "enum_mismatch" and c["truth"]["action"] in ("map_value", "none") and isinstance(c.get("value"), str)
        ]
        lines, right, asked, self.project = [], [], [], []
        self.labels: list[str] = []
        self.fields: tuple[str, ...] = ()
        for number, case in enumerate(self.cases):
            schema = schema_of(case["table"], case["columns"])
            column = schema.relation.column(case["key"])
            allowed = labels_of(column, schema.relation, schema.snapshot) if column else None
            if column is None or not allowed:
                continue
            for label, found in labels.numbers(str(case["truth"].get("from", case["value"])), allowed, column.default):
                self.fields = tuple(found)
                lines.append(list(found.values()))
                right.append(label == case["truth"].get("to"))
                asked.append(number)
                self.labels.append(label)
                self.project.append(case["project"])
        self.x, self.y, self.asked = np.array(lines, float), np.array(right, int), np.array(asked)

    def fit(self, keep: Array) -> LogisticRegression:
        """A plain logistic regression: a hundred cases bear no more."""
        return LogisticRegression(C=0.5, max_iter=2000).fit(self.x[keep], self.y[keep])

    def unseen(self) -> Array:
        """Probabilities by weights that never saw the project."""
        out = np.zeros(len(self.y))
        for train, test in GroupKFold(FOLDS, shuffle=True, random_state=0).split(self.x, self.y, self.project):
            out[test] = self.fit(train).predict_proba(self.x[test])[:, 1]
        return out


def questions() -> list[Question]:
    """Everything the trees learn from."""
    return [q for seed in SEEDS for q in [*(r for s in SETTINGS for r in renames(s, seed)), *wild(seed)]]


def catch_all_share() -> tuple[float, float]:
    """How often a key without a column belonged in the JSON catch-all, or was simply left out later."""
    cases = [c for c in load("wild") if c["problem"] == "unknown_column" and c["truth"]["action"] in ("none", "into_json")]
    held = [c for c in cases if any(e["type"] == "jsonb" for e in c["columns"])]
    moved = sum(c["truth"]["action"] == "into_json" for c in held)
    return round((moved + 1) / (len(held) + 4), 3), 0.05


def main(path: Path) -> None:
    """Writes the model."""
    table = Table(questions())
    scores = unseen_scores(table)
    p = shares(scores, table.asked)
    full = exported(trees(table.x, table.y, table.weight))
    names = Labels()
    logistic = names.fit(np.arange(len(names.y)))
    rescue, drop = catch_all_share()
    model = {
        "version": 1,
        "features": list(FEATURES),
        **full,
        "curve": curve(p, table.y, table.weight),
        "label": {
            "bias": round(float(logistic.intercept_[0]), 4),
            "weights": {n: round(float(w), 4) for n, w in zip(names.fields, logistic.coef_[0], strict=True)},
        },
        "rescue": rescue,
        "drop": drop,
    }
    path.write_text(json.dumps(model, separators=(",", ":")) + "\n")
    print(
        f"{len(table.questions)} questions, {len(table.y)} pairs, {len(model['trees'])} trees, {path.stat().st_size // 1024} kB -> {path.name}"
    )
