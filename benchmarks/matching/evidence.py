"""How often the best proposal of each bucket was right, asked of models that never saw the project: what policy ``certified`` starts
from. Each group of the data counts once: many tables of one project that changed alike are one decision."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from benchmarks.drift import load
from benchmarks.matching import labelled
from benchmarks.matching.cases import Question, renames, wild
from benchmarks.matching.judge import proposals
from healing.core.certify import said_bucket
from healing.core.match.model import Model
from healing.core.types import Proposal

Decided = tuple[str, str, bool]
"""group, bucket without the model's stamp, right"""


def decisions(model_of: Callable[[str], Model]) -> Iterator[Decided]:
    """Every labelled cause whose best proposal is in a bucket."""
    for question in [*renames("typical"), *wild()]:
        best = proposals(question, model_of(question.project), labelled.CLAIMS)[:1]
        if best and (bucket := said_bucket(best[0].evidence)):
            yield f"{question.group}:{question.project}", bucket.partition("/")[2], _right(question, best[0])
    for case in load("wild"):
        if case["problem"] in ("enum_mismatch", "missing_required") and case["conf"] in labelled.TRUSTED:
            best = labelled.proposals(case, model_of(case["project"]))[:1]
            if best and (bucket := said_bucket(best[0].evidence)):
                yield case["id"], bucket.partition("/")[2], labelled.right(case, best)


def _right(question: Question, best: Proposal) -> bool:
    op = best.fix[0]
    return op["op"] == "rename_column" and question.answers.get(str(op["from"]), "?") == op["to"]


def evidence(model_of: Callable[[str], Model]) -> dict[str, tuple[int, int]]:
    """bucket -> right, wrong"""
    found: dict[str, tuple[int, int]] = {}
    decided: dict[tuple[str, str], bool] = {}
    for group, bucket, right in decisions(model_of):
        decided[group, bucket] = decided.get((group, bucket), True) and right  # one wrong answer in a group makes it a wrong one
    for (_, bucket), right in sorted(decided.items()):
        good, bad = found.get(bucket, (0, 0))
        found[bucket] = (good + right, bad + (not right))
    return found
