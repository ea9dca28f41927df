"""What would have to be edited to turn a key into a column: the words between what both begin with and what both end with."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

from msgspec import Struct

from .names import FAINT, GLUE, Name, affixes, same_word, stem

_SAME = 0.85


class Edit(Struct, frozen=True, gc=False, eq=False):
    """``gone`` are the words only the key has, ``come`` those only the column has; ``numbers`` in the order of ``EDITS``."""

    gone: tuple[str, ...]
    come: tuple[str, ...]
    numbers: tuple[float, ...]


EDITS = (
    "words_before",
    "words_after",
    "words_gone",
    "words_come",
    "replaced",
    "middle_alike",
    "middle_letters",
    "gone_is_faint",
    "come_is_faint",
    "come_is_table",
    "gone_is_table",
    "come_before_id",
)


@lru_cache(maxsize=20_000)
def edit(key: Name, column: Name, table: Name) -> Edit:
    """Aligns two names from both ends."""
    mine, theirs = list(key.words), list(column.words)
    after = 0
    while mine and theirs and same_word(mine[-1], theirs[-1]) >= _SAME:
        after += 1
        mine.pop()
        theirs.pop()
    before = 0
    while mine and theirs and same_word(mine[0], theirs[0]) >= _SAME:
        before += 1
        mine.pop(0)
        theirs.pop(0)
    alike = max((same_word(a, b) for a in mine for b in theirs), default=0.0)
    numbers = (
        float(before),
        float(after),
        float(len(mine)),
        float(len(theirs)),
        float(bool(mine and theirs)),
        alike,
        affixes("".join(mine), "".join(theirs)) if mine and theirs else 0.0,
        _share(mine, FAINT | GLUE),
        _share(theirs, FAINT | GLUE),
        _share(theirs, frozenset(table.words)),
        _share(mine, frozenset(table.words)),
        float(bool(theirs) and not mine and after == 1 and column.words[-1] in ("id", "type")),
    )
    return Edit(tuple(mine), tuple(theirs), numbers)


def _share(words: list[str], known: frozenset[str]) -> float:
    """Share of words that are known; 0.5 where there are none."""
    return sum(w in known or stem(w) in known or w.rstrip("s") in known for w in words) / len(words) if words else 0.5


def used_elsewhere(words: tuple[str, ...], vocabulary: Mapping[str, int], own: int) -> float:
    """How much other columns of the table use the words: mean count, ``own`` uses not counted, at most 4; -1 without words."""
    if not words:
        return -1.0
    return min(4.0, sum(max(0, vocabulary.get(stem(w), 0) - own) for w in words) / len(words))
