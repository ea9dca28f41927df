"""What each group of features is worth: the trees are grown anew without it, by fold, and asked again."""

from __future__ import annotations

import numpy as np

from benchmarks.matching.forest import forest
from benchmarks.matching.judge import Answer, recall, top_one
from benchmarks.matching.table import Array, Columns, folds
from benchmarks.matching.train import shares
from healing.core.match.edits import EDITS
from healing.core.match.features import FEATURES
from healing.core.match.former import FORMER
from healing.core.match.habits import HABITS
from healing.core.match.surroundings import SURROUNDINGS

FOLDS = 5
VALUES = ("fit", "hint_fit", "labels_fit", "is_text", "is_json", "is_bool", "is_array", "is_id", "is_moment", "is_number", "same_hint")
NEIGHBOURS = (
    "targets",
    "targets_that_fit",
    "targets_required",
    "keys",
    "rank",
    "margin",
    "rival_key",
    "near_present",
    "near_present_column",
)
GROUPS: dict[str, tuple[str, ...]] = {
    "nothing": (),
    "what the value looks like": VALUES,
    "the words that differ": (*EDITS, "gone_elsewhere", "come_elsewhere"),
    "what words do elsewhere": HABITS,
    "table and payload around": SURROUNDINGS,
    "the other candidates and keys": NEIGHBOURS,
    "what was there before": (*FORMER, "newer", "newer_others"),
}


def measured(table: Columns) -> list[tuple[str, dict[str, tuple[float, float]]]]:
    """For each group: setting -> first right, recall at 1 % wrong, without it."""
    return [(name, _without(table, [i for i, f in enumerate(FEATURES) if f not in group])) for name, group in GROUPS.items()]


def _without(table: Columns, kept: list[int]) -> dict[str, tuple[float, float]]:
    fold_of = folds(table.project, FOLDS)
    where = np.array([fold_of[p] for p in table.project])
    scores = np.zeros(len(table.y))
    for fold in range(FOLDS):
        seen = where != fold
        grown = forest(table.x[seen][:, kept], table.y[seen], table.weight[seen], 0)
        scores[~seen] = grown.log_odds(table.x[~seen][:, kept])
    answers = likeliest_answers(table, shares(scores, table.asked))
    return {setting: (top_one(found), recall(found, 0.01)) for setting, found in answers.items()}


def likeliest_answers(table: Columns, p: Array) -> dict[str, list[Answer]]:
    """The likeliest column of each question, each setting's first drawing only."""
    best: dict[int, int] = {}
    for line, number in enumerate(table.asked):
        if number not in best or p[line] > p[best[number]]:
            best[number] = line
    found: dict[str, list[Answer]] = {}
    for number in range(table.first_drawings):
        question, key = table.questions[number]
        line = best.get(number)
        answer = Answer(question, key, None, 0.0) if line is None else Answer(question, key, table.names[line], float(p[line]))
        found.setdefault(question.setting, []).append(answer)
    return found
