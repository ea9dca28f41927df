"""Questions as matrices: what the model learns from, one line for each candidate."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import numpy as np

from benchmarks.drift import load, schema_of
from benchmarks.matching.cases import SETTINGS, Question, renames, wild
from benchmarks.matching.habits import habits_without
from benchmarks.matching.made import removals
from healing.core.match import labels
from healing.core.match.features import pairs
from healing.core.match.scene import labels_of, scene_of

WEIGHTS = {"bare": 0.8, "typical": 0.5, "former": 0.5, "carried": 0.1, "wild": 1.5, "made": 0.3}
"""of one line, by its question's setting; typical and wild, where values and payloads are drawn, come with two seeds. ``carried``
weighs little: where all is sent, whatever was not is nearly always right, and that is learned too easily"""
Array = Any


class Columns:
    """One line for each unknown key and promising column."""

    def __init__(self, questions: list[Question], first: int = 0) -> None:
        """``first``: so many questions are the first drawing of their setting, which alone is judged."""
        lines: list[list[float]] = []
        right: list[bool] = []
        asked: list[int] = []
        self.names: list[str] = []
        self.questions: list[tuple[Question, str]] = []
        self.first_drawings = 0
        for place, question in enumerate(questions):
            scene = scene_of(question.statement, question.misfits, question.schema.relation, question.schema.snapshot, question.former)
            for key, row in zip(scene.keys, pairs(scene, habits_without(question.project)), strict=True):
                if key.text not in question.answers:
                    continue
                number = len(self.questions)
                self.questions.append((question, key.text))
                for pair in row:
                    lines.append(pair.features)
                    right.append(pair.target.column.name == question.answers[key.text])
                    asked.append(number)
                    self.names.append(pair.target.column.name)
            if place < first:
                self.first_drawings = len(self.questions)
        self.x, self.y, self.asked = np.array(lines, float), np.array(right, int), np.array(asked)
        self.project = np.array([self.questions[i][0].project for i in asked])
        self.weight = np.array([WEIGHTS[self.questions[i][0].setting] for i in asked])
        self.real = np.array([self.questions[i][0].source != "made" for i in asked])


class Labels:
    """One line for each refused value and allowed value."""

    def __init__(self) -> None:
        lines: list[list[float]] = []
        right: list[bool] = []
        projects: list[str] = []
        self.fields: tuple[str, ...] = ()
        for case in load("wild"):
            if case["problem"] != "enum_mismatch" or case["truth"]["action"] not in ("map_value", "none"):
                continue
            schema = schema_of(case["table"], case["columns"])
            column = schema.relation.column(case["key"])
            allowed = labels_of(column, schema.relation, schema.snapshot) if column else None
            value = case["truth"].get("from", case.get("value"))
            if column is None or not allowed or not isinstance(value, str):
                continue
            for label, found in labels.numbers(value, allowed, column.default):
                self.fields = tuple(found)
                lines.append(list(found.values()))
                right.append(label == case["truth"].get("to"))
                projects.append(case["project"])
        self.x, self.y, self.project = np.array(lines, float), np.array(right, int), np.array(projects)


def judged() -> list[Question]:
    """What is judged: each setting's first drawing."""
    return [*(q for setting in SETTINGS for q in renames(setting)), *wild()]


def everything() -> Columns:
    """What the trees learn from: what is judged, second drawings where values and payloads are drawn, and made negatives."""
    first = judged()
    return Columns([*first, *renames("typical", seed=1), *wild(seed=1), *removals()], len(first))


def folds(projects: Array, count: int, seed: int = 0) -> dict[str, int]:
    """project -> fold, the folds about equally large; the same projects and seed always give the same folds. Seed 0 is what is reported,
    others divide the projects in other ways, to see how much of a figure is luck."""
    sizes, rng = [0] * count, random.Random(seed)
    found: dict[str, int] = {}
    lines = sorted(Counter(projects.tolist()).items(), key=lambda p: (-p[1], p[0]))
    if seed:
        lines.sort(key=lambda p: -p[1] * rng.lognormvariate(0, 0.6))
    for project, count_of in lines:
        found[project] = sizes.index(min(sizes))
        sizes[found[project]] += count_of
    return found
