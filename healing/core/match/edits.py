"""What would have to be edited to turn a key into a column: the words between what both begin with and what both end with."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from .likeness import Alike
from .names import affixes
from .reading import Reading, share

_SAME = 0.85


class Edit(Struct, frozen=True, gc=False, eq=False):
    """Which words only the key has and only the column has, as slices of their words; ``numbers`` in the order of ``EDITS``;
    ``all``: no word stays."""

    gone: slice
    come: slice
    numbers: tuple[float, ...]
    all: bool = False


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


def edit(key: Reading, alike: Alike, column: Reading) -> Edit:
    """Aligns two names from both ends."""
    mine, theirs = key.name.words, column.name.words
    begin, end, stop = 0, len(mine), len(theirs)
    while end and stop and alike[end - 1].get(theirs[stop - 1], 0.0) >= _SAME:
        end, stop = end - 1, stop - 1
    while begin < end and begin < stop and alike[begin].get(theirs[begin], 0.0) >= _SAME:
        begin += 1
    after, gone, come = len(mine) - end, slice(begin, end), slice(begin, stop)
    replaced = begin < end and begin < stop
    numbers = (
        float(begin),
        float(after),
        float(end - begin),
        float(stop - begin),
        float(replaced),
        max([known.get(b, 0.0) for known in alike[gone] for b in theirs[come]]) if replaced else 0.0,
        affixes("".join(mine[gone]), "".join(theirs[come])) if replaced else 0.0,
        share(key.faint[gone], 0.5),
        share(column.faint[come], 0.5),
        share(column.owner[come], 0.5),
        share(key.owner[gone], 0.5),
        float(begin < stop and begin == end and after == 1 and theirs[-1] in ("id", "type")),
    )
    return Edit(gone, come, numbers)


def another(key: Reading, column: Reading, letters: float) -> Edit:
    """The same for names that have no word alike: all words go, all others come. ``letters``: their ``affixes``."""
    end, stop = len(key.name.words), len(column.name.words)
    replaced = bool(end and stop)
    (faint, owner, _), (other_faint, other_owner, _) = key.shares, column.shares
    numbers = (
        0.0,
        0.0,
        float(end),
        float(stop),
        float(replaced),
        0.0,
        letters if replaced else 0.0,
        faint,
        other_faint,
        other_owner,
        owner,
        0.0,
    )
    return Edit(slice(0, end), slice(0, stop), numbers, True)


def used_elsewhere(stems: tuple[str, ...], vocabulary: Mapping[str, int], own: int) -> float:
    """How much other columns of the table use the words: mean count, ``own`` uses not counted, at most 4; -1 without words."""
    if not stems:
        return -1.0
    total = 0
    for stem in stems:
        used = vocabulary.get(stem, 0) - own
        if used > 0:
            total += used
    return min(4.0, total / len(stems))
