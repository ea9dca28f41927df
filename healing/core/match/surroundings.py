"""What the rest of the table and of the payload says about one key and one column."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from math import log2

from msgspec import Struct

from .edits import Edit
from .lexicon import OBSOLETE, PEOPLE, QUALIFIERS
from .names import Name, marks, name_of, same_word, stem, synonyms

SURROUNDINGS = (
    "sent_share",
    "sent",
    "obsolete_key",
    "only_obsolete_gone",
    "contrast",
    "qualifiers_come",
    "qualifiers_gone",
    "frame",
    "columns",
    "key_names_table",
    "both_say_who",
)
_OLD = frozenset(map(stem, OBSOLETE))
Stems = frozenset[str]


class Table(Struct, frozen=True, eq=False):
    """The live columns in their order: the stems of each, where each stands, and which ones have a stem."""

    stems: tuple[Stems, ...]
    places: Mapping[str, int]
    having: Mapping[str, frozenset[int]]
    words: Mapping[str, frozenset[int]]
    """the same by whole words."""
    shelves: Mapping[str, frozenset[str]]
    """the words by each of the marks (``marks``) that they may be found by."""

    def kin_of(self, key: Name) -> frozenset[int]:
        """The columns that have a word which may stand for one of the key's: no others are alike but by letters."""
        found: set[int] = set()
        for word in key.words:
            likely = {other for mark in (*marks(word), *synonyms(word)) for other in self.shelves.get(mark, ())}
            for other in likely:
                if same_word(word, other):
                    found |= self.words[other]
        return frozenset(found)

    def all_of(self, stems: Stems) -> frozenset[int]:
        """The columns that have all of these stems (at least one is asked for)."""
        found = [self.having.get(stem, _NOBODY) for stem in stems]
        return found[0].intersection(*found[1:])


_NOBODY: frozenset[int] = frozenset()


@lru_cache(maxsize=512)
def table_of(names: tuple[str, ...]) -> Table:
    """Taken apart once for each table."""
    stems = tuple(frozenset(name_of(n).stems) for n in names)
    places = {name: place for place, name in enumerate(names)}
    words = _index(name_of(n).words for n in names)
    shelves: dict[str, set[str]] = {}
    for word in words:
        for mark in marks(word):
            shelves.setdefault(mark, set()).add(word)
    return Table(stems, places, _index(stems), words, {mark: frozenset(found) for mark, found in shelves.items()})


def _index(columns: Iterable[Iterable[str]]) -> dict[str, frozenset[int]]:
    """word -> the places of the columns that have it"""
    found: dict[str, set[int]] = {}
    for place, words in enumerate(columns):
        for word in words:
            found.setdefault(word, set()).add(place)
    return {word: frozenset(places) for word, places in found.items()}


def numbers(key: Name, column: Name, change: Edit, table: Table, owner: Name, sent: int) -> tuple[float, ...]:
    """In the order of ``SURROUNDINGS``; ``sent`` live columns are in the payload."""
    return (sent / len(table.stems), float(min(sent, 20)), *_lasting(key, column, change, table, owner))


@lru_cache(maxsize=20_000)
def _lasting(key: Name, column: Name, change: Edit, table: Table, owner: Name) -> tuple[float, ...]:
    """What does not depend on the payload."""
    gone, come = frozenset(map(stem, change.gone)), frozenset(map(stem, change.come))
    kept, place, count = frozenset(key.stems) - gone, table.places[column.raw], len(table.stems)
    old = any(s in _OLD for s in key.stems) and not any(s in _OLD for s in column.stems)
    return (
        float(old),
        float(bool(gone) and gone <= _OLD),
        float(_contrasted(gone, come, table, place)),
        _share(change.come),
        _share(change.gone),
        float(min(6, len(table.all_of(kept) - {place}))) if kept else -1.0,
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


def _contrasted(gone: Stems, come: Stems, table: Table, place: int) -> bool:
    """The table itself holds two columns that differ in just these words: it uses them for two things."""
    if not gone or not come:
        return False
    frames = {table.stems[i] - gone for i in table.all_of(gone)}
    return any(rest in frames for i in table.all_of(come) if i != place and (rest := table.stems[i] - come))


def _share(words: tuple[str, ...]) -> float:
    """Share of qualifying words; -1 where there are none."""
    return sum(w in QUALIFIERS for w in words) / len(words) if words else -1.0
