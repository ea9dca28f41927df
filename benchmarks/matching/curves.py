"""Answers as curves: how many right columns are found at which precision, and what was said beside what was so."""

from __future__ import annotations

from benchmarks.matching.chart import Line, Point
from benchmarks.matching.judge import Answer


def precision_by_coverage(name: str, answers: list[Answer]) -> Line:
    """Across: share of the right columns that are found; up: share of what was said that is right. The surest answers come first."""
    wanted = sum(a.truth is not None for a in answers)
    points: list[Point] = []
    right = said = 0
    told = sorted((a for a in answers if a.column is not None), key=lambda a: -a.score)
    for number, answer in enumerate(told):
        right, said = right + answer.right, said + 1
        last = number + 1 == len(told) or told[number + 1].score < answer.score
        if last and said >= 5 and (not points or right / wanted - points[-1][0] > 0.004 or number + 1 == len(told)):
            points.append((right / wanted, right / said))
    return Line(name, points or [(0.0, 0.0)])


def reliability(answers: list[Answer], bins: int = 10) -> list[tuple[float, float, int]]:
    """For each tenth: said on average, so, and how many."""
    found = []
    for i in range(bins):
        inside = [a for a in answers if i / bins <= a.score < (i + 1) / bins + (i == bins - 1)]
        if inside:
            found.append((sum(a.score for a in inside) / len(inside), sum(a.right for a in inside) / len(inside), len(inside)))
    return found
