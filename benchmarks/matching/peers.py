"""What others do: the most similar name, by the usual measures, with the same type rule as ours (a value that cannot go in is out)."""

from __future__ import annotations

from collections.abc import Callable
from difflib import SequenceMatcher

from rapidfuzz import fuzz
from rapidfuzz.distance import JaroWinkler

from benchmarks.matching.cases import Question
from benchmarks.matching.judge import Answer
from healing.core.match.scene import Key, Target, scene_of
from healing.core.match.values import fit

Measure = Callable[[str, str], float]

MEASURES: dict[str, Measure] = {
    "difflib": lambda a, b: SequenceMatcher(None, a, b).ratio(),
    "Jaro-Winkler": JaroWinkler.similarity,
    "token set": lambda a, b: fuzz.token_set_ratio(a.replace("_", " "), b.replace("_", " ")) / 100,
    "token sort": lambda a, b: fuzz.token_sort_ratio(a.replace("_", " "), b.replace("_", " ")) / 100,
    "PostgREST-like 75 %": lambda a, b: ratio if (ratio := fuzz.ratio(a, b) / 100) >= 0.75 else 0.0,
}


def answers(questions: list[Question], measure: Measure, margin: bool = False) -> list[Answer]:
    """The most similar column for every key; with ``margin`` the score is the lead over the second."""
    found = []
    for question in questions:
        scene = scene_of(question.statement, question.misfits, question.schema.relation, question.schema.snapshot)
        targets = [t for t in scene.targets if scene.newer is None or t.column.name in scene.newer]
        found += [_answer(question, k, targets, measure, margin) for k in scene.keys if k.text in question.answers]
    return found


def _answer(question: Question, key: Key, targets: list[Target], measure: Measure, margin: bool) -> Answer:
    able = [t.column.name for t in targets if fit(key.shape, t.family) > 0]
    scored = sorted(((measure(key.text.lower(), name.lower()), name) for name in able), reverse=True)
    if not scored or scored[0][0] == 0.0:
        return Answer(question, key.text, None, 0.0)
    second = scored[1][0] if len(scored) > 1 else 0.0
    return Answer(question, key.text, scored[0][1], scored[0][0] - second if margin else scored[0][0])
