"""What a name says by itself, beside the name of its table: read once for a column, and once a payload for an unknown key."""

from __future__ import annotations

from functools import lru_cache

from msgspec import Struct

from .lexicon import OBSOLETE, PEOPLE, QUALIFIERS
from .names import FAINT, GLUE, Name, stem
from .traps import Signs, signs
from .values import hinted

Stems = frozenset[str]
OLD = frozenset(map(stem, OBSOLETE))
_COMMON = FAINT | GLUE


class Reading(Struct, frozen=True, gc=False, eq=False):
    """``weight`` is the sum of the name's weights; ``own`` are those in which words of the table's name count little
    (``customer_name`` in ``customers``). ``faint``, ``owner`` and ``qualifies`` say of each word whether half of all columns have it,
    whether the table has it, and whether it makes another thing of a name."""

    name: Name
    stems: Stems
    weight: float
    own: tuple[float, ...]
    own_weight: float
    faint: tuple[bool, ...]
    owner: tuple[bool, ...]
    qualifies: tuple[bool, ...]
    shares: tuple[float, float, float]
    """of all words, those that these say it of"""
    hint: str
    signs: Signs
    old: bool
    who: bool
    of_owner: bool
    """It has a word of the table's name."""


def read(name: Name, owner: Name) -> Reading:
    """``owner``: the table's name."""
    weights, stems, owns = name.weights, name.stems, owner.stems
    own = weights if owner.words == () else tuple([w * 0.2 if s in owns else w for w, s in zip(weights, stems, strict=True)])
    faint = tuple([_faint(word) for word in name.words])
    of_owner = tuple([_among(word, owner.words) for word in name.words])
    qualifies = tuple([word in QUALIFIERS for word in name.words])
    return Reading(
        name,
        frozenset(stems),
        sum(weights),
        own,
        sum(own),
        faint,
        of_owner,
        qualifies,
        (share(faint, 0.5), share(of_owner, 0.5), share(qualifies, -1.0)),
        hinted(name.words),
        signs(name),
        any([s in OLD for s in stems]),
        says_who(name),
        any([s in owns for s in stems]),
    )


def share(said: tuple[bool, ...], of_none: float) -> float:
    """Share of the words that it is said of; ``of_none`` where there are no words."""
    return sum(said) / len(said) if said else of_none


@lru_cache(maxsize=8_192)
def _faint(word: str) -> bool:
    return _among(word, _COMMON)


def _among(word: str, known: frozenset[str] | tuple[str, ...]) -> bool:
    return word in known or stem(word) in known or word.rstrip("s") in known


def says_who(name: Name) -> bool:
    """The name of whoever did it: ``created_by``, ``owner_id``, ``author``."""
    ends, rest = name.words[-1:], name.words[:-1]
    return (
        (ends == ("by",) and bool(rest)) or (ends == ("id",) and bool(rest) and rest[-1] in PEOPLE) or (not rest and name.letters in PEOPLE)
    )
