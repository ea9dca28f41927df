"""Names of columns, tables and labels as sets of weighted words, and how alike two of them are.

A name is split at case changes, separators and digits, abbreviations are written out and endings taken off, so that
``createdAt``, ``created_on`` and ``creation_date`` meet. Names and words repeat, so the last few thousand are remembered: no more, since
callers choose the names of keys, and since Python's garbage collector comes after so many new objects.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache, reduce
from itertools import groupby
from operator import itemgetter, or_

from msgspec import Struct

from .lexicon import ABBREVIATIONS, LABEL_PAIRS, OPPOSITE_PAIRS, SYNONYM_PAIRS

_REMEMBERED = 8_192
_LONGEST = 256
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+|[^\W\d_a-zA-Z]+")
_ENDINGS = ("ations", "ation", "ition", "itions", "ions", "ion", "ings", "ing", "ied", "ies", "ed", "es", "s", "ly", "able", "ment")

GLUE = frozenset(
    [
        "is",
        "has",
        "was",
        "had",
        "be",
        "been",
        "can",
        "should",
        "of",
        "the",
        "a",
        "an",
        "to",
        "at",
        "on",
        "in",
        "by",
        "for",
        "with",
        "and",
        "or",
        "as",
        "do",
        "does",
    ]
)
"""Words that hold a name together and say little by themselves."""
FAINT = frozenset(
    [
        "id",
        "at",
        "on",
        "by",
        "is",
        "has",
        "date",
        "time",
        "name",
        "type",
        "status",
        "state",
        "value",
        "data",
        "info",
        "information",
        "url",
        "key",
        "code",
        "count",
        "number",
        "no",
        "total",
        "flag",
        "text",
        "timestamp",
        "json",
        "field",
        "record",
        "entry",
        "list",
        "item",
        "items",
        "current",
        "new",
    ]
)
"""Words that half of all columns have."""


class Name(Struct, frozen=True, gc=False, eq=False):
    """A name taken apart, compared and hashed by identity.
    ``words`` are written-out words in order, ``stems`` the same without endings."""

    words: tuple[str, ...]
    stems: tuple[str, ...]
    weights: tuple[float, ...]
    letters: str
    trigrams: frozenset[str]


@lru_cache(maxsize=_REMEMBERED)
def stem(word: str) -> str:
    """The word without its ending, at least three letters of it."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    for ending in _ENDINGS:
        if word.endswith(ending) and len(word) - len(ending) >= (3 if ending == "s" else 4) and not word.endswith(("ss", "us", "is")):
            return word[: -len(ending)].rstrip("e")
    return word.rstrip("e") if len(word) > 4 else word


def _weight(word: str) -> float:
    if word in GLUE:
        return 0.25
    if word in FAINT or word.isdigit():
        return 0.6
    return 1.0


def name_of(text: str) -> Name:
    """Take a name apart. Of a very long one only the beginning: no column or label is called so, but callers may send it."""
    return _taken_apart(text[:_LONGEST])


@lru_cache(maxsize=_REMEMBERED)
def _taken_apart(text: str) -> Name:
    words = tuple(ABBREVIATIONS.get(w, w) for w in (m.group().lower() for m in _WORD.finditer(text)))
    letters = "".join(words) or text.lower()
    padded = f"^{letters}$"
    grams = frozenset(padded[i : i + 3] for i in range(max(1, len(padded) - 2)))
    return Name(words, tuple(map(stem, words)), tuple(map(_weight, words)), letters, grams)


@lru_cache(maxsize=_REMEMBERED)
def singular(word: str) -> str:
    """The word without the ending of a plural."""
    if word.endswith("ies") and len(word) > 4:
        return word[:-3] + "y"
    return word[:-1] if word.endswith("s") and not word.endswith(("ss", "us", "is")) and len(word) > 3 else word


@lru_cache(maxsize=_REMEMBERED)
def same_word(a: str, b: str) -> float:
    """0..1: how likely the two words stand for the same thing (1 = the same word in another form)."""
    return same_words(a, (b,)).get(b, 0.0)


def same_words(word: str, others: Iterable[str]) -> dict[str, float]:
    """The same for a word and each of some others; those that do not stand for the same thing are left out."""
    root, one, known = stem(word), singular(word), synonyms(word)
    found = {}
    for other in others:
        if other == word or stem(other) == root:
            found[other] = 1.0
        elif known and ((one, singular(other)) in SYNONYM_PAIRS or (word, other) in SYNONYM_PAIRS):
            found[other] = 0.75
        elif likeness := _in_spelling(word, other):
            found[other] = likeness
    return found


def _in_spelling(a: str, b: str) -> float:
    shorter, longer = (len(a), len(b)) if len(a) < len(b) else (len(b), len(a))
    if shorter >= 3 and (a.startswith(b) or b.startswith(a)):
        return 0.7 if shorter / longer > 0.5 else 0.5
    if longer - shorter <= 2 and shorter > 4 and (a[0] == b[0] or a[-3:] == b[-3:]) and _near(a, b):
        return 0.85
    return 0.0


def _near(a: str, b: str) -> bool:
    """Whether Jaro-Winkler says more than 0.9. First what it can be at most: letters that only one of them has match nothing."""
    mine, theirs = _letters(a), _letters(b)
    most = min(len(a) - (mine & ~theirs).bit_count(), len(b) - (theirs & ~mine).bit_count())
    best = (most / len(a) + most / len(b) + 1) / 3
    return best + 0.4 * (1 - best) > 0.899 and jaro(a, b) > 0.9


@lru_cache(maxsize=_REMEMBERED)
def _letters(word: str) -> int:
    """The letters of a word as bits; some letters share one."""
    return reduce(or_, [1 << (ord(letter) & 63) for letter in word], 0)


def marks(word: str) -> tuple[str, ...]:
    """What two words have one of in common if ``same_word`` says more than nothing: their beginning, their end, or a synonym."""
    return (f"{word[0]}-", f"-{word[-3:]}", word, singular(word)) if word else ()


@lru_cache(maxsize=_REMEMBERED)
def synonyms(word: str) -> frozenset[str]:
    """The words of the lexicon that are used for it."""
    mine, of_one = _SYNONYMS.get(word, _NONE), _SYNONYMS.get(singular(word), _NONE)
    return mine | of_one if mine and of_one else mine or of_one


_NONE: frozenset[str] = frozenset()
_SYNONYMS = {word: frozenset(b for _, b in pairs) for word, pairs in groupby(sorted(SYNONYM_PAIRS), itemgetter(0))}


@lru_cache(maxsize=_REMEMBERED)
def same_label_word(a: str, b: str) -> float:
    """Like ``same_word`` for the words of labels (``pending`` and ``open``)."""
    if (a, b) in LABEL_PAIRS or (singular(a), singular(b)) in LABEL_PAIRS:
        return 0.75
    return same_word(a, b)


@lru_cache(maxsize=_REMEMBERED)
def opposite(a: str, b: str) -> bool:
    """Words that name two different things of one kind: min and max, sender and receiver."""
    return (a, b) in OPPOSITE_PAIRS or (singular(a), singular(b)) in OPPOSITE_PAIRS


def jaro(a: str, b: str) -> float:
    """Jaro-Winkler similarity 0..1."""
    if a == b:
        return 1.0
    reach = max(len(a), len(b)) // 2 - 1
    taken = [False] * len(b)
    matched: list[str] = []
    for i, letter in enumerate(a):
        for j in range(max(0, i - reach), min(len(b), i + reach + 1)):
            if not taken[j] and b[j] == letter:
                taken[j] = True
                matched.append(letter)
                break
    if not matched:
        return 0.0
    other = [b[j] for j in range(len(b)) if taken[j]]
    swaps = sum(x != y for x, y in zip(matched, other, strict=True)) / 2
    m = len(matched)
    base = (m / len(a) + m / len(b) + (m - swaps) / m) / 3
    prefix = 0
    for x, y in zip(a[:4], b[:4], strict=False):
        if x != y:
            break
        prefix += 1
    return base + prefix * 0.1 * (1 - base)


def dice(a: Name, b: Name) -> float:
    """Share of common trigrams, 0..1."""
    return 2 * len(a.trigrams & b.trigrams) / (len(a.trigrams) + len(b.trigrams))


def affixes(a: str, b: str) -> float:
    """Share of the longer text that is a common beginning or a common end, 0..1."""
    shorter = min(len(a), len(b))
    if not shorter:
        return 0.0
    begin = 0
    while begin < shorter and a[begin] == b[begin]:
        begin += 1
    end = 0
    while end < shorter - begin and a[-1 - end] == b[-1 - end]:
        end += 1
    return (begin + end) / max(len(a), len(b))
