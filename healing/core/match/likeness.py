"""How alike two names are, as numbers that the model weighs. Depends on the names only, so it is cached."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from .names import Name, dice, jaro, same_word
from .traps import traps
from .values import hinted


class Likeness(Struct, frozen=True):
    """``base`` is a plain mixture for ranking; ``numbers`` are the features, in the order of ``LIKENESS``."""

    base: float
    numbers: tuple[float, ...]
    traps: tuple[str, ...]


LIKENESS = (
    "words_of_key_found",
    "words_of_column_found",
    "words_exact",
    "both_ways",
    "trigrams",
    "jaro",
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


def _best(words: tuple[str, ...], others: tuple[str, ...]) -> list[float]:
    return [max([same_word(w, o) for o in others], default=0.0) for w in words]


def _mean(scores: list[float], weights: tuple[float, ...]) -> float:
    total = sum(weights)
    return sum(s * w for s, w in zip(scores, weights, strict=True)) / total if total else 0.0


def _both(a: float, b: float) -> float:
    return 2 * a * b / (a + b) if a + b else 0.0


@lru_cache(maxsize=200_000)
def likeness(key: Name, column: Name, table: Name) -> Likeness:
    """Compares a key with a column of a table. Words of the table's name count little: ``customer_name`` in ``customers``."""
    mine, theirs = _best(key.words, column.words), _best(column.words, key.words)
    found, held = _mean(mine, key.weights), _mean(theirs, column.weights)
    exact = _mean([float(s == 1.0) for s in mine], key.weights)
    own = tuple(
        w * (0.2 if max([same_word(x, t) for t in table.words], default=0.0) >= 1.0 else 1.0)
        for x, w in zip(key.words, key.weights, strict=True)
    )
    col = tuple(
        w * (0.2 if max([same_word(x, t) for t in table.words], default=0.0) >= 1.0 else 1.0)
        for x, w in zip(column.words, column.weights, strict=True)
    )
    beside_key, beside_column = _mean(mine, own), _mean(theirs, col)
    warnings = traps(key, column)
    hint, other = hinted(key.words), hinted(column.words)
    close, alike = dice(key, column), jaro(key.letters, column.letters)
    both, beside = _both(found, held), _both(beside_key, beside_column)
    numbers = (
        found,
        held,
        exact,
        both,
        close,
        alike,
        same_word(key.words[-1], column.words[-1]) if key.words and column.words else 0.0,
        same_word(key.words[0], column.words[0]) if key.words and column.words else 0.0,
        sum(w for s, w in zip(mine, key.weights, strict=True) if s < 0.5),
        sum(w for s, w in zip(theirs, column.weights, strict=True) if s < 0.5),
        float(len(key.words)),
        float(len(column.words)),
        float(len(warnings)),
        0.5 if not hint or not other else float(hint == other),
        float(key.letters == column.letters),
        float(column.words[: len(key.words)] == key.words),
        float(column.words[-len(key.words) :] == key.words),
        float(key.words[-len(column.words) :] == column.words),
        beside_key,
        beside_column,
        beside,
    )
    return Likeness(0.45 * max(both, beside) + 0.3 * close + 0.25 * alike, numbers, warnings)
