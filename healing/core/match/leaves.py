"""Boosted trees asked without walking them. The leaves of all trees are the bits of one number. What a feature's value rules out is known
beforehand for each range between the thresholds that any tree has for it; when every feature has struck out its share, one leaf of each
tree is left. What these are worth is added up bit by bit: the worths are whole millionths.

After QuickScorer (Lucchese and others, SIGIR 2015), with Python's long integers for the vector registers.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Container, Mapping, Sequence

from msgspec import Struct

Tree = tuple[tuple[int, float, int, int], ...]
"""Nodes (feature, threshold, left, right): left where value <= threshold. feature -1: a leaf worth ``threshold``."""
Row = Sequence[float] | Mapping[int, float]
MILLION = 1_000_000

Question = tuple[int, tuple[float, ...], tuple[int, ...]]
"""a feature, its thresholds in order, and the leaves that stay for a value up to the first, up to the second ... above the last"""


class Leaves(Struct, frozen=True):
    """Questions in groups, so that few have to be asked. ``common`` are the same for all rows of one call; ``kinds`` are yes or no, so the
    leaves that they leave are remembered for what they said; ``linked`` are all 0 where the feature ``link`` is."""

    every: int
    common: tuple[Question, ...]
    kinds: tuple[Question, ...]
    span: slice
    """where the kinds stand in a row"""
    linked: tuple[Question, ...]
    link: int
    unlinked: int
    """the leaves that they leave where they are 0"""
    single: tuple[Question, ...]
    planes: tuple[int, ...]
    """the leaves whose worth has the highest bit, the next ... the lowest"""
    least: int
    """what all trees are worth at least, in millionths; the planes count from there"""
    _stay: dict[tuple[float, ...], int]

    def sums(self, rows: Sequence[list[float]]) -> list[float]:
        """What the trees say of each row of features."""
        common = _left(self.every, self.common, rows[0]) if rows else self.every
        unlinked = common & self.unlinked
        return [(self._worth(common if row[self.link] else unlinked, row) + self.least) / MILLION for row in rows]

    def _of_kinds(self, row: list[float]) -> int:
        said = tuple(row[self.span])
        left = self._stay.get(said)
        if left is None:
            left = self._stay[said] = _left(self.every, self.kinds, row)
        return left

    def _worth(self, left: int, row: list[float]) -> int:
        if row[self.link]:
            left = _left(left, self.linked, row)
        left, total = _left(left & self._of_kinds(row), self.single, row), 0
        for plane in self.planes:
            total += total + (left & plane).bit_count()
        return total


def _left(left: int, questions: tuple[Question, ...], row: Row) -> int:
    for feature, thresholds, stay in questions:
        left &= stay[bisect_left(thresholds, row[feature])]
    return left


def leaves(trees: Sequence[Tree], common: Container[int], kinds: range, linked: Sequence[int]) -> Leaves:
    """``common``: the features that are the same for all rows of one call; ``kinds``: those that are yes or no, side by side; ``linked``:
    those that are all 0 where the first of them is."""
    worths: list[int] = []
    sides: dict[int, dict[float, tuple[int, int]]] = {}
    least = 0
    for tree in sorted(trees, key=_spread, reverse=True):  # few trees have high bits: these planes are short numbers
        first = len(worths)
        _branch(tree, 0, worths, sides)
        lowest = min(worths[first:])
        worths[first:] = [worth - lowest for worth in worths[first:]]
        least += lowest
    every = (1 << len(worths)) - 1
    questions = [_question(feature, cuts, every) for feature, cuts in sorted(sides.items())]
    of_words = tuple(q for q in questions if q[0] in linked)
    return Leaves(
        every,
        tuple(q for q in questions if q[0] in common),
        tuple(q for q in questions if q[0] in kinds),
        slice(kinds.start, kinds.stop),
        of_words,
        linked[0],
        _left(every, of_words, defaultdict(float)),
        tuple(q for q in questions if q[0] not in common and q[0] not in kinds and q[0] not in linked),
        _planes(worths),
        least,
        {},
    )


def _spread(tree: Tree) -> float:
    worths = [node[1] for node in tree if node[0] < 0]
    return max(worths) - min(worths)


def _branch(tree: Tree, at: int, worths: list[int], sides: dict[int, dict[float, tuple[int, int]]]) -> int:
    """The leaves below a node. Notes for every threshold which leaves lie to its left and to its right."""
    feature, threshold, left, right = tree[at]
    if feature < 0:
        worths.append(_millionths(threshold))
        return 1 << len(worths) - 1
    below, above = _branch(tree, left, worths, sides), _branch(tree, right, worths, sides)
    cuts = sides.setdefault(feature, {})
    lower, higher = cuts.get(threshold, (0, 0))
    cuts[threshold] = (lower | below, higher | above)
    return below | above


def _millionths(worth: float) -> int:
    found = round(worth * MILLION)
    if found / MILLION != worth:
        raise ValueError(f"a leaf is worth {worth!r}: more than six decimals are never counted")
    return found


def _question(feature: int, cuts: dict[float, tuple[int, int]], every: int) -> Question:
    thresholds = tuple(sorted(cuts))
    stay = [every] * (len(thresholds) + 1)
    for place, threshold in enumerate(thresholds):
        lower, higher = cuts[threshold]
        stay = [left & ~(higher if i <= place else lower) for i, left in enumerate(stay)]
    return feature, thresholds, tuple(stay)


def _planes(worths: Sequence[int]) -> tuple[int, ...]:
    bits = range(max(worths, default=0).bit_length() - 1, -1, -1)
    return tuple(sum(1 << leaf for leaf, worth in enumerate(worths) if worth >> bit & 1) for bit in bits)
