"""Answers by models that never saw the project, through the matcher's own front door, and how good they are."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from msgspec import Struct

from benchmarks.matching.cases import Question
from healing.core.match import propose
from healing.core.match.columns import assigned, rank
from healing.core.match.model import Model
from healing.core.match.scene import scene_of
from healing.core.types import Json, Proposal


class Answer(Struct, frozen=True):
    """What was said to one question about one key: the likeliest column and its probability or score."""

    question: Question
    key: str
    column: str | None
    score: float

    @property
    def truth(self) -> str | None:
        """The right column; None where there is none."""
        return self.question.answers[self.key]

    @property
    def right(self) -> bool:
        """The column is the right one."""
        return self.column is not None and self.column == self.truth


def answers(questions: Iterable[Question], model_of: Callable[[str], Model]) -> list[Answer]:
    """The matcher's column for every asked key."""
    found = []
    for question in questions:
        scene = scene_of(question.statement, question.misfits, question.schema.relation, question.schema.snapshot, question.former)
        ranked = rank(scene, model_of(question.project))
        chosen = assigned(ranked)
        for one in ranked:
            if one.key.text in question.answers:
                chances = {p.target.column.name: c for p, c in zip(one.pairs, one.chances, strict=True)}
                best = chosen.get(one.key.text) or max(chances, key=lambda c: chances[c], default=None)
                found.append(Answer(question, one.key.text, best, chances[best] if best else 0.0))
    return found


def recall(answers: list[Answer], rate: float) -> float:
    """Share of the right columns that are found when only so many of all answers may be wrong."""
    wanted = sum(a.truth is not None for a in answers)
    best = right = wrong = 0
    for answer in sorted(answers, key=lambda a: -a.score):
        right, wrong = right + answer.right, wrong + (not answer.right)
        if wrong <= rate * len(answers):
            best = right
    return best / wanted if wanted else 0.0


def top_one(answers: list[Answer]) -> float:
    """Share of the right columns that come first."""
    wanted = [a for a in answers if a.truth is not None]
    return sum(a.right for a in wanted) / len(wanted) if wanted else 0.0


def false_claims(answers: list[Answer], above: float = 0.5) -> float:
    """Share of the keys without a column that got one above that probability."""
    none = [a for a in answers if a.truth is None]
    return sum(a.score > above for a in none) / len(none) if none else 0.0


def calibration_error(answers: list[Answer], bins: int = 10) -> float:
    """Expected calibration error: mean gap between what was said and what was so."""
    total = 0.0
    for i in range(bins):
        inside = [a for a in answers if i / bins <= a.score < (i + 1) / bins or (i == bins - 1 and a.score == 1)]
        if inside:
            total += abs(sum(a.score for a in inside) - sum(a.right for a in inside))
    return total / len(answers)


def proposals(question: Question, model: Model, claims: dict[str, Json]) -> tuple[Proposal, ...]:
    """What the gateway would keep for the question."""
    schema = question.schema
    return propose(question.statement, question.misfits, schema.relation, schema.snapshot, claims=claims, lineage=None, model=model)
