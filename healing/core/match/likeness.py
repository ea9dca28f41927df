"""How alike two names are, as numbers that the model weighs. Depends on the names only, so it is cached."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from operator import mul

from msgspec import Struct

from .names import Name, affixes, dice, same_word
from .traps import traps
from .values import hinted


class Likeness(Struct, frozen=True, gc=False):
    """``numbers`` are the features, in the order of ``LIKENESS``."""

    numbers: tuple[float, ...]
    traps: tuple[str, ...]


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


def _mean(scores: Sequence[float], weights: tuple[float, ...]) -> float:
    total = sum(weights)
    return sum(map(mul, scores, weights)) / total if total else 0.0


def _both(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0


class Kinship(Struct, frozen=True, gc=False):
    """The cheap part of a comparison, enough for ranking: best counterpart of every word, and one mixed number."""

    mine: tuple[float, ...]
    theirs: tuple[float, ...]
    found: float
    held: float
    beside_key: float
    beside_column: float
    close: float
    base: float


@lru_cache(maxsize=50_000)
def _own_weights(name: Name, table: Name) -> tuple[float, ...]:
    """Weights in which words of the table's name count little: ``customer_name`` in ``customers``."""
    return tuple(
        weight * (0.2 if any(same_word(word, t) >= 1.0 for t in table.words) else 1.0)
        for word, weight in zip(name.words, name.weights, strict=True)
    )


@lru_cache(maxsize=50_000)
def kinship(key: Name, column: Name, table: Name) -> Kinship:
    """Compares quickly. One pass over the pairs of words: this runs for every key and column."""
    mine, theirs = [0.0] * len(key.words), [0.0] * len(column.words)
    for i, word in enumerate(key.words):
        for j, other in enumerate(column.words):
            alike = 1.0 if word == other else same_word(word, other)
            if alike > mine[i]:
                mine[i] = alike
            if alike > theirs[j]:
                theirs[j] = alike
    close = dice(key, column)
    if not any(mine):
        return Kinship(tuple(mine), tuple(theirs), 0.0, 0.0, 0.0, 0.0, close, LETTERS * close)
    found, held = _mean(mine, key.weights), _mean(theirs, column.weights)
    beside_key, beside_column = _mean(mine, _own_weights(key, table)), _mean(theirs, _own_weights(column, table))
    base = 0.6 * max(_both(found, held), _both(beside_key, beside_column)) + LETTERS * close
    return Kinship(tuple(mine), tuple(theirs), found, held, beside_key, beside_column, close, base)


@lru_cache(maxsize=20_000)
def likeness(key: Name, column: Name, table: Name) -> Likeness:
    """Compares a key with a column of a table in full."""
    kin = kinship(key, column, table)
    warnings = traps(key, column)
    hint, other = hinted(key.words), hinted(column.words)
    numbers = (
        kin.found,
        kin.held,
        _mean([float(s == 1.0) for s in kin.mine], key.weights),
        _both(kin.found, kin.held),
        kin.close,
        affixes(key.letters, column.letters),
        same_word(key.words[-1], column.words[-1]) if key.words and column.words else 0.0,
        same_word(key.words[0], column.words[0]) if key.words and column.words else 0.0,
        sum(w for s, w in zip(kin.mine, key.weights, strict=True) if s < 0.5),
        sum(w for s, w in zip(kin.theirs, column.weights, strict=True) if s < 0.5),
        float(len(key.words)),
        float(len(column.words)),
        float(len(warnings)),
        0.5 if not hint or not other else float(hint == other),
        float(key.letters == column.letters),
        float(column.words[: len(key.words)] == key.words),
        float(column.words[-len(key.words) :] == key.words),
        float(key.words[-len(column.words) :] == column.words),
        kin.beside_key,
        kin.beside_column,
        _both(kin.beside_key, kin.beside_column),
    )
    return Likeness(numbers, warnings)
