"""What others do: the most similar name, by the usual measures, with the same type rule as ours (a value that cannot go in is out)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from difflib import SequenceMatcher

from rapidfuzz import fuzz
from rapidfuzz.distance import JaroWinkler

from benchmarks.matching import language_model, outside
from benchmarks.matching.cases import Question
from benchmarks.matching.judge import Answer
from healing.core.match.layout import Target
from healing.core.match.names import name_of
from healing.core.match.scene import Key, scene_of
from healing.core.match.values import fit
from tests import local_model

Measure = Callable[[str, str], float]


def _jaccard(a: str, b: str) -> float:
    mine, theirs = set(name_of(a).words), set(name_of(b).words)
    return len(mine & theirs) / len(mine | theirs) if mine | theirs else 0.0


MEASURES: dict[str, Measure] = {
    "difflib": lambda a, b: SequenceMatcher(None, a, b).ratio(),
    "Jaro-Winkler": JaroWinkler.similarity,
    "token set": lambda a, b: fuzz.token_set_ratio(a.replace("_", " "), b.replace("_", " ")) / 100,
    "token sort": lambda a, b: fuzz.token_sort_ratio(a.replace("_", " "), b.replace("_", " ")) / 100,
    "PostgREST-like 75 %": lambda a, b: ratio if (ratio := fuzz.ratio(a, b) / 100) >= 0.75 else 0.0,
    "Jaccard of words": _jaccard,
}
MOST_ASKED = 40
"""questions of a setting that a slow peer is asked, drawn evenly."""


def all_answers(questions: list[Question], slow: bool) -> Iterator[tuple[str, list[Answer] | None]]:
    """Every peer with its answers, the slow ones where asked for; None where it is not installed."""
    for name, measure in MEASURES.items():
        yield name, answers(questions, _by(measure))
    yield "difflib, margin", answers(questions, _by(MEASURES["difflib"]), margin=True)
    if not slow:
        return
    sample = questions[:: max(1, len(questions) // MOST_ASKED)]
    for name, peer in outside.peers():
        yield f"{name} ({len(sample)} asked)", answers(sample, peer) if peer else None


def by_language_model(questions: list[Question], count: int) -> tuple[str, list[Answer] | None]:
    """The small language model alone, asked so many questions, drawn evenly."""
    few = questions[:: max(1, len(questions) // count)]
    name = f"small language model ({len(few)} asked)"
    if local_model.missing():
        return name, None
    with language_model.alone() as peer:
        return name, answers(few, peer)


def _by(measure: Measure) -> outside.Peer:
    return lambda key, targets: {t.column.name: measure(key.text.lower(), t.column.name.lower()) for t in targets}


def answers(questions: list[Question], peer: outside.Peer, margin: bool = False) -> list[Answer]:
    """The most similar column for every key; with ``margin`` the score is the lead over the second."""
    found = []
    for question in questions:
        scene = scene_of(question.statement, question.misfits, question.schema.relation, question.schema.snapshot, question.former)
        targets = [t for t in scene.targets if scene.newer is None or t.column.name in scene.newer]
        found += [_answer(question, k, targets, peer, margin) for k in scene.keys if k.text in question.answers]
    return found


def _answer(question: Question, key: Key, targets: list[Target], peer: outside.Peer, margin: bool) -> Answer:
    able = [t for t in targets if fit(key.shape, t.family) > 0]
    scored = sorted(((score, name) for name, score in peer(key, able).items()), reverse=True) if able else []
    if not scored or scored[0][0] == 0.0:
        return Answer(question, key.text, None, 0.0)
    second = scored[1][0] if len(scored) > 1 else 0.0
    return Answer(question, key.text, scored[0][1], scored[0][0] - second if margin else scored[0][0])
