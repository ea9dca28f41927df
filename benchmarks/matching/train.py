"""Trains ``healing/core/match/model.json`` from the drift data, in a minute or two, without a network:

    python -m benchmarks.matching.train

Steps: questions -> features -> trees, cross-validated by project -> calibration on what no tree has seen -> trees on everything ->
a JSON file that a person can read. Needs numpy, scikit-learn and lightgbm (development only).
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from threadpoolctl import threadpool_limits

from benchmarks.drift import load
from benchmarks.matching.evidence import evidence
from benchmarks.matching.forest import Forest, forest
from benchmarks.matching.habits import habits_without
from benchmarks.matching.table import Array, Columns, Labels, everything, folds
from healing.core.match.features import FEATURES
from healing.core.match.model import Model

FOLDS = 10
BAG = 2
LINEAR = 0.3
"""what the logistic regression counts beside the trees"""
MODEL = Path(__file__).resolve().parents[2] / "healing" / "core" / "match" / "model.json"
Fitted = dict[str, Any]


class Grown(msgspec.Struct):
    """Trees, several forests grown by other chances, and a plain logistic regression beside them: their mean is steadier than each."""

    forests: list[Forest]
    line: Any

    def log_odds(self, x: Array) -> Array:
        """What they say together."""
        leaves = np.mean([one.log_odds(x) for one in self.forests], axis=0)
        return (1 - LINEAR) * leaves + LINEAR * self.line.decision_function(x)


def grown(x: Array, y: Array, weight: Array, seed: int = 0) -> Grown:
    """``seed``: other chances."""
    line = make_pipeline(StandardScaler(), LogisticRegression(C=0.05, solver="newton-cholesky", max_iter=200))
    line.fit(x, y, logisticregression__sample_weight=weight)
    return Grown([forest(x, y, weight, BAG * seed + i) for i in range(BAG)], line)


def exported(model: Grown) -> Fitted:
    """The trees, and one weight for each feature; what the scaling moves goes into the bias."""
    scaler, line = model.line[0], model.line[1]
    slopes = LINEAR * line.coef_[0] / scaler.scale_
    bias = LINEAR * float(line.intercept_[0]) - float(slopes @ scaler.mean_)
    found = [tree for one in model.forests for tree in one.trees((1 - LINEAR) / BAG)]
    return {"bias": round(bias, 5), "weights": [round(float(w), 6) for w in slopes], "trees": found}


def shares(scores: Array, asked: Array) -> Array:
    """Probability of each line before calibration: over one key they sum to one at most."""
    p = 1 / (1 + np.exp(-scores))
    total = np.maximum(1.0, np.bincount(asked, weights=p))
    return p / total[asked]


def likeliest(p: Array, asked: Array) -> Array:
    """Marks the likeliest line of each question: what is said first is what must be so as often as it is said."""
    order = np.lexsort((np.arange(len(p)), -p, asked))
    first = np.r_[True, asked[order][1:] != asked[order][:-1]]
    marked = np.zeros(len(p), bool)
    marked[order[first]] = True
    return marked


def curve(p: Array, y: Array, weight: Array) -> Fitted:
    """A rising curve from share to observed frequency by beta calibration: two slopes and a height, so that the order of the raw scores
    survives and few cases bend it little. Told by points, denser towards the ends."""
    fitted = LogisticRegression(C=1e6, max_iter=2000).fit(_sides(p), y, sample_weight=weight)
    edges = np.round(1 / (1 + np.exp(-np.linspace(-6, 6, 41))), 5)
    edges = np.concatenate([[0.0], edges, [1.0]])
    heights = np.maximum.accumulate(fitted.predict_proba(_sides(edges))[:, 1])
    return {"x": [float(e) for e in edges], "y": [round(float(h), 5) for h in heights]}


def _sides(p: Array) -> Array:
    safe = np.clip(p, 1e-4, 1 - 1e-4)
    return np.column_stack([np.log(safe), -np.log(1 - safe)])


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
        fitted = grown(table.x[seen], table.y[seen], table.weight[seen])
        scores[~seen] = fitted.log_odds(table.x[~seen])
        parts.append(exported(fitted))
    p = shares(scores, table.asked)
    told = table.real & likeliest(p, table.asked)
    unseen = []
    for fold, part in enumerate(parts):
        seen = told & (where != fold)
        unseen.append(
            _model(part, curve(p[seen], table.y[seen], table.weight[seen]), label_weights(names, np.flatnonzero(where_label != fold)))
        )
    whole = _model(
        exported(grown(table.x, table.y, table.weight)),
        curve(p[told], table.y[told], table.weight[told]),
        label_weights(names, np.arange(len(names.y))),
    )
    return Trained(whole, unseen, fold_of, scores)


def _model(raw: Fitted, shape: Fitted, label: Fitted) -> Fitted:
    known = {"version": 2, "features": list(FEATURES), **raw, "curve": shape, "label": label}
    stamp = hashlib.sha256(json.dumps(known).encode()).hexdigest()[:8]
    return {**known, "rescue": catch_all_share(), "drop": 0.05, "stamp": stamp}


def as_model(fitted: Fitted, project: str | None = None) -> Model:
    """The fitted numbers as the program reads them, with the habits of words in all projects but one."""
    return msgspec.structs.replace(msgspec.convert(fitted, Model), habits=habits_without(project))


class Judge:
    """For each project a model that never saw it. ``ranks``: all with the curve that ships, since answers by ten models with ten curves
    cannot be put in one order; without, also the curve never saw the project."""

    def __init__(self, trained: Trained, ranks: bool = False) -> None:
        self._trained, self._ranks = trained, ranks
        self._made: dict[str, Model] = {}

    def __call__(self, project: str) -> Model:
        if project not in self._made:
            fold = self._trained.fold_of.get(project)
            fitted = self._trained.whole if fold is None else self._trained.unseen[fold]
            self._made[project] = as_model({**fitted, "curve": self._trained.whole["curve"]} if self._ranks else fitted, project)
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
    """Writes the model. One thread: sums in another order would be other numbers."""
    with threadpool_limits(1):
        table = everything()
        trained = train(table, Labels())
        counted = {name: list(counts) for name, counts in sorted(evidence(Judge(trained)).items())}
    model = {**trained.whole, "habits": msgspec.to_builtins(habits_without(None)), "evidence": counted}
    MODEL.write_text(written(model))
    size = MODEL.stat().st_size // 1024
    print(f"{len(table.questions)} questions, {len(table.y)} pairs, {len(model['trees'])} trees, {size} kB -> {MODEL.name}")


if __name__ == "__main__":
    main()
