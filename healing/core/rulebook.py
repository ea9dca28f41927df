"""A table's rules by what they answer: a row asks only those that may settle one of its misfits, however many there are.

>>> book = rulebook([Rule("1", "s", "t", "", "unknown_column:a", ()), Rule("2", "s", "t", "", "unknown_column:a + missing_value:b", ())])
>>> [rule.id for rule, _ in book.answering(["unknown_column:a"])], book.supplied
(['2', '1'], {'b': 'missing_value:b'})
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct

from healing.core.signature import read, split
from healing.core.types import Kind, Rule

Answer = tuple[Rule, frozenset[str]]
"""A rule, and the signatures that must all be there."""


class Rulebook(Struct, frozen=True):
    """``rules`` as they were given; ``by_first`` by the first part of their signature, each with its place in the order in which they are
    tried: those that settle most come first."""

    rules: tuple[Rule, ...]
    by_first: dict[str, list[tuple[int, Answer]]]
    supplied: dict[str, str]
    """columns that some rule knows a value for -> signature of a row that lacks it."""

    def answering(self, signatures: Iterable[str]) -> Iterator[Answer]:
        """The rules that may settle one of these, in order; whether all their parts are there is to be looked at."""
        places = [place for signature in signatures for place in self.by_first.get(signature, ())]
        return (answer for _, answer in sorted(places, key=lambda place: place[0]))


def rulebook(rules: Sequence[Rule]) -> Rulebook:
    """The book of these rules. Linear in them: keep it. One without a signature answers nothing."""
    by_first: dict[str, list[tuple[int, Answer]]] = {}
    supplied: dict[str, str] = {}
    parts = [(rule, wanted) for rule in rules if (wanted := split(rule.signature))]
    for place, (rule, wanted) in enumerate(sorted(parts, key=lambda each: -len(each[1]))):
        by_first.setdefault(wanted[0], []).append((place, (rule, frozenset(wanted))))
    for part in itertools.chain.from_iterable(wanted for _, wanted in parts):
        kind, name = read(part)
        if kind == Kind.MISSING_VALUE:
            supplied.setdefault(name, part)
    return Rulebook(tuple(rules), by_first, supplied)
