"""How alike two names are, as numbers that the model weighs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import mul

from msgspec import Struct

from .names import Name, dice, same_word
from .reading import Reading, read

LIKENESS = (
    "words_of_key_found",
    "words_of_column_found",
    "words_exact",
    "both_ways",
    "trigrams",
    "affixes",
    "last_word",
    "first_word",
    "lonely_in_key",
    "lonely_in_column",
    "key_words",
    "column_words",
    "traps",
    "same_hint",
    "same_letters",
    "column_starts_with_key",
    "column_ends_with_key",
    "key_ends_with_column",
    "beside_table_key",
    "beside_table_column",
    "beside_table_both",
)


LETTERS = 0.4
"""what common letters count beside common words; where no word is alike, they are all there is."""
Alike = Sequence[Mapping[str, float]]
"""for each word of a name: other word -> how likely it stands for the same thing, where it may at all"""


class Kinship(Struct, frozen=True, gc=False):
    """The cheap part of a comparison, enough for ranking: best counterpart of every word, and one mixed number."""

    mine: Sequence[float]
    theirs: Sequence[float]
    found: float
    held: float
    beside_key: float
    beside_column: float
    close: float
    base: float


def kinship(key: Name, column: Name, table: Name) -> Kinship:
    """Compares two names that were not read before."""
    alike = [{other: same_word(word, other) for other in column.words} for word in key.words]
    return compare(read(key, table), alike, read(column, table), dice(key, column))


def compare(key: Reading, alike: Alike, column: Reading, close: float) -> Kinship:
    """Compares quickly: this runs for every key and each column that may share a word with it. ``alike`` belongs to the key;
    ``close``: their share of common trigrams."""
    words = column.name.words
    mine, theirs = [], [0.0] * len(words)
    for known in alike:
        best = 0.0
        if known:
            for j, other in enumerate(words):
                same = known.get(other, 0.0)
                if same > best:
                    best = same
                if same > theirs[j]:
                    theirs[j] = same
        mine.append(best)
    if not any(mine):
        return apart(close)
    found, held = _mean(mine, key.name.weights, key.weight), _mean(theirs, column.name.weights, column.weight)
    beside_key, beside_column = _mean(mine, key.own, key.own_weight), _mean(theirs, column.own, column.own_weight)
    base = 0.6 * max(_both(found, held), _both(beside_key, beside_column)) + LETTERS * close
    return Kinship(mine, theirs, found, held, beside_key, beside_column, close, base)


def apart(close: float) -> Kinship:
    """What two names are to each other that have nothing in common but letters."""
    return Kinship((), (), 0.0, 0.0, 0.0, 0.0, close, LETTERS * close)


def numbers(key: Reading, alike: Alike, column: Reading, kin: Kinship, letters: float, warnings: int) -> tuple[float, ...]:
    """In the order of ``LIKENESS``; ``letters``: their ``affixes``; ``warnings``: how many traps there are."""
    mine, theirs = key.name, column.name
    words, others = mine.words, theirs.words
    exact = last = first = 0.0
    lonely, lonely_there = key.weight, column.weight
    if kin.found:
        exact, lonely = _exact_and_lonely(kin.mine, mine.weights)
        exact, (_, lonely_there) = exact / key.weight, _exact_and_lonely(kin.theirs, theirs.weights)
        last, first = alike[-1].get(others[-1], 0.0), alike[0].get(others[0], 0.0)
    return (
        kin.found,
        kin.held,
        exact,
        _both(kin.found, kin.held),
        kin.close,
        letters,
        last,
        first,
        lonely,
        lonely_there,
        float(len(words)),
        float(len(others)),
        float(warnings),
        0.5 if not key.hint or not column.hint else float(key.hint == column.hint),
        float(mine.letters == theirs.letters),
        float(others[: len(words)] == words),
        float(others[-len(words) :] == words),
        float(words[-len(others) :] == others),
        kin.beside_key,
        kin.beside_column,
        _both(kin.beside_key, kin.beside_column),
    )


def _mean(scores: Sequence[float], weights: tuple[float, ...], total: float) -> float:
    return sum(map(mul, scores, weights)) / total if total else 0.0


def _both(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0


def _exact_and_lonely(found: Sequence[float], weights: tuple[float, ...]) -> tuple[float, float]:
    """The weights of the words that have the same word as a counterpart, and of those that have none."""
    exact = lonely = 0.0
    for best, weight in zip(found, weights, strict=True):
        if best == 1.0:
            exact += weight
        elif best < 0.5:
            lonely += weight
    return exact, lonely
