"""What the rest of the table and of the payload says about one key and one column."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from math import log2

from msgspec import Struct

from .edits import Edit
from .lexicon import OBSOLETE, PEOPLE, QUALIFIERS
from .names import Name, name_of, stem

SURROUNDINGS = (
    "sent_share",
    "sent",
    "obsolete_key",
    "only_obsolete_gone",
    "contrast",
    "qualifiers_come",
    "qualifiers_gone",
    "frame",
    "position",
    "from_the_end",
    "columns",
    "key_names_table",
    "both_say_who",
)
_OLD = frozenset(map(stem, OBSOLETE))
Stems = frozenset[str]


class Table(Struct, frozen=True, eq=False):
    """The live columns in their order: the stems of each, and where each stands."""

    stems: tuple[Stems, ...]
    places: Mapping[str, int]


@lru_cache(maxsize=512)
def table_of(names: tuple[str, ...]) -> Table:
    """Taken apart once for each table."""
    return Table(tuple(frozenset(name_of(n).stems) for n in names), {n: i for i, n in enumerate(names)})


def numbers(key: Name, column: Name, change: Edit, table: Table, owner: Name, sent: int) -> tuple[float, ...]:
    """In the order of ``SURROUNDINGS``; ``sent`` live columns are in the payload."""
    return (sent / len(table.stems), float(min(sent, 20)), *_lasting(key, column, change, table, owner))


@lru_cache(maxsize=20_000)
def _lasting(key: Name, column: Name, change: Edit, table: Table, owner: Name) -> tuple[float, ...]:
    """What does not depend on the payload."""
    gone, come = frozenset(map(stem, change.gone)), frozenset(map(stem, change.come))
    kept, place, count = frozenset(key.stems) - gone, table.places[column.raw], len(table.stems)
    others = [s for i, s in enumerate(table.stems) if i != place]
    old = any(s in _OLD for s in key.stems) and not any(s in _OLD for s in column.stems)
    return (
        float(old),
        float(bool(gone) and gone <= _OLD),
        float(_contrasted(gone, come, table.stems, others)),
        _share(change.come),
        _share(change.gone),
        float(min(6, sum(kept <= s for s in others))) if kept else -1.0,
        place / count,
        float(min(8, count - 1 - place)),
        log2(count),
        float(not frozenset(key.stems).isdisjoint(owner.stems)),
        float(says_who(key) and says_who(column)),
    )


@lru_cache(maxsize=20_000)
def says_who(name: Name) -> bool:
    """The name of whoever did it: ``created_by``, ``owner_id``, ``author``."""
    ends, rest = name.words[-1:], name.words[:-1]
    return (
        (ends == ("by",) and bool(rest)) or (ends == ("id",) and bool(rest) and rest[-1] in PEOPLE) or (not rest and name.letters in PEOPLE)
    )


def _contrasted(gone: Stems, come: Stems, stems: tuple[Stems, ...], others: list[Stems]) -> bool:
    """The table itself holds two columns that differ in just these words: it uses them for two things."""
    if not gone or not come:
        return False
    frames = {s - gone for s in stems if gone <= s}
    return any(come <= s and s - come and s - come in frames for s in others)


def _share(words: tuple[str, ...]) -> float:
    """Share of qualifying words; -1 where there are none."""
    return sum(w in QUALIFIERS for w in words) / len(words) if words else -1.0
