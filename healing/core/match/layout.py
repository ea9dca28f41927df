"""A table taken apart once: its columns as a key may be meant for them, and where to look for those that are like a word.

Sets of columns are bits of a number, one for each place in the table.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from math import log2

from msgspec import Struct
from msgspec.structs import replace

from schema_monitor.core.snapshot import Column, Relation

from .likeness import Alike, Kinship, apart, compare
from .names import Name, dice, marks, name_of, same_words, synonyms
from .reading import Reading, Stems, read
from .values import family

_CATCH_ALLS = (
    "metadata",
    "meta",
    "attributes",
    "extra",
    "data",
    "details",
    "properties",
    "custom_fields",
    "additional_data",
    "extra_data",
    "payload",
    "context",
)
_HOUSEKEEPING = frozenset(("id", "created_at", "updated_at", "created_on", "updated_on", "deleted_at", "inserted_at"))
_MOST_TABLES, _MOST_WORDS, _MOST_PAIRS = 256, 256, 4_096
"""that are remembered: tables in a process; words beyond its own and pairs of columns in a table"""


class Target(Struct, frozen=True, gc=False, eq=False):
    """A column that a key may be meant for. ``place``: where it stands in the table; ``kinds``: what the model weighs of the column
    alone, in the order of ``KINDS``."""

    column: Column
    place: int
    reading: Reading
    family: str
    required: bool
    housekeeping: bool
    kinds: tuple[float, ...]


KINDS = (
    "required",
    "housekeeping",
    "has_default",
    "is_text",
    "is_json",
    "is_bool",
    "is_array",
    "is_id",
    "is_moment",
    "is_number",
)


class Heard(Struct, frozen=True, gc=False, eq=False):
    """A name as a table hears it: for each of its words the table's words that may stand for it, which columns have one of these
    (no others are alike but by letters), and how many trigrams it shares with which column."""

    reading: Reading
    alike: Alike
    kin: int
    common: Mapping[int, int]


class Layout(Struct, frozen=True, eq=False):
    """The live columns in their order. ``targets``: those that a payload may set, for an insert; ``updated``: for an update."""

    owner: Name
    names: tuple[str, ...]
    size: float
    """log2 of how many columns there are"""
    places: Mapping[str, int]
    readings: tuple[Reading, ...]
    targets: tuple[Target, ...]
    updated: tuple[Target, ...]
    catch_all: str | None
    """a jsonb column that takes what has no column of its own."""
    having: Mapping[str, int]
    """the columns that have a stem."""
    vocabulary: Mapping[str, int]
    """in how many columns each stem is used."""
    words: Mapping[str, int]
    """the columns that have a word."""
    shelves: Mapping[str, tuple[str, ...]]
    """the words by each of the marks (``marks``) that they may be found by."""
    grams: Mapping[str, tuple[int, ...]]
    """the columns that have a trigram."""
    _alike: dict[str, Mapping[str, float]]
    _bases: dict[int, float]

    def hear(self, name: Name) -> Heard:
        """Compares the words of a name with those of the table."""
        alike = tuple([self._alike_of(word) for word in name.words])
        kin, common = 0, dict[int, int]()
        for known in alike:
            for other in known:
                kin |= self.words[other]
        for gram in name.trigrams:
            for place in self.grams.get(gram, ()):
                common[place] = common.get(place, 0) + 1
        return Heard(read(name, self.owner), alike, kin, common)

    def close(self, heard: Heard, place: int) -> float:
        """``dice`` of a name and a column."""
        common = heard.common.get(place, 0)
        return 2 * common / (len(heard.reading.name.trigrams) + len(self.readings[place].name.trigrams)) if common else 0.0

    def kinship(self, heard: Heard, place: int) -> Kinship:
        """Compares a name with a column."""
        close = self.close(heard, place)
        return compare(heard.reading, heard.alike, self.readings[place], close) if heard.kin >> place & 1 else apart(close)

    def base(self, place: int, other: int) -> float:
        """How near two columns are."""
        at = place * len(self.names) + other
        known = self._bases.get(at)
        if known is None:
            if len(self._bases) >= _MOST_PAIRS:
                self._bases.clear()
            one, two = self.readings[place], self.readings[other]
            alike = [self._alike_of(word) for word in one.name.words]
            known = self._bases[at] = compare(one, alike, two, dice(one.name, two.name)).base
        return known

    def sharing(self, stems: Iterable[str]) -> int:
        """The columns that have one of the stems."""
        found = 0
        for stem in stems:
            found |= self.having.get(stem, 0)
        return found

    def all_of(self, stems: Stems) -> int:
        """The columns that have all of the stems."""
        found = -1
        for stem in stems:
            found &= self.having.get(stem, 0)
        return found

    def _alike_of(self, word: str) -> Mapping[str, float]:
        known = self._alike.get(word)
        if known is None:
            if len(self._alike) >= _MOST_WORDS + len(self.words):
                self._alike.clear()
            likely = {other for mark in (*marks(word), *synonyms(word)) for other in self.shelves.get(mark, ())}
            known = self._alike[word] = same_words(word, likely) or _NOBODY
        return known


_NOBODY: Mapping[str, float] = {}
_LAYOUTS: dict[int, tuple[Relation, Layout]] = {}
"""by the relation's ``id``, which no other can have as long as it is held here."""


def layout_of(relation: Relation) -> Layout:
    """Taken apart once for each table, however often its relation is read anew; nothing is compared where it is the same object."""
    found = _LAYOUTS.get(id(relation))
    if found is None:
        if len(_LAYOUTS) >= _MOST_TABLES:
            _LAYOUTS.clear()
        found = _LAYOUTS[id(relation)] = (relation, taken_apart(relation.name, relation.columns))
    return found[1]


@lru_cache(maxsize=_MOST_TABLES)
def taken_apart(table: str, columns: tuple[Column, ...]) -> Layout:
    """The layout of a table with these columns."""
    owner = name_of(table)
    readings = tuple([read(name_of(c.name), owner) for c in columns])
    names = tuple([c.name for c in columns])
    targets = tuple([_target(c, place, readings[place]) for place, c in enumerate(columns) if writable(c)])
    having, words = _bits([r.name.stems for r in readings]), _bits([r.name.words for r in readings])
    shelves: dict[str, list[str]] = {}
    for word in words:
        for mark in set(marks(word)):
            shelves.setdefault(mark, []).append(word)
    grams: dict[str, list[int]] = {}
    for place, reading in enumerate(readings):
        for gram in reading.name.trigrams:
            grams.setdefault(gram, []).append(place)
    return Layout(
        owner,
        names,
        log2(len(names)) if names else 0.0,
        {name: place for place, name in enumerate(names)},
        readings,
        targets,
        tuple([_optional(target) for target in targets]),
        _catch_all(columns),
        having,
        {stem: found.bit_count() for stem, found in having.items()},
        words,
        {mark: tuple(found) for mark, found in shelves.items()},
        {gram: tuple(found) for gram, found in grams.items()},
        {},
        {},
    )


def places(columns: int) -> Iterator[int]:
    """Where the columns of a set stand."""
    while columns:
        lowest = columns & -columns
        yield lowest.bit_length() - 1
        columns ^= lowest


def _bits(columns: Iterable[Iterable[str]]) -> dict[str, int]:
    """word -> the columns that have it"""
    found: dict[str, int] = {}
    for place, words in enumerate(columns):
        for word in words:
            found[word] = found.get(word, 0) | 1 << place
    return found


def _target(column: Column, place: int, reading: Reading) -> Target:
    """As an insert sees it."""
    kind = family(column.base, column.array, column.enum is not None)
    required = not column.nullable and column.default is None and not column.identity
    housekeeping = column.name in _HOUSEKEEPING
    kinds = (
        required,
        housekeeping,
        column.default is not None,
        kind in ("text", "label"),
        kind == "json",
        kind == "bool",
        kind == "array",
        kind == "uuid" or reading.name.words[-1:] == ("id",),
        kind in ("moment", "date", "time"),
        kind in ("int", "number"),
    )
    return Target(column, place, reading, kind, required, housekeeping, tuple(map(float, kinds)))


def _optional(target: Target) -> Target:
    """As an update sees it: nothing must be there."""
    return replace(target, required=False, kinds=(0.0, *target.kinds[1:])) if target.required else target


def writable(column: Column) -> bool:
    """False for columns that a payload may never set."""
    return not column.generated and column.identity != "a"


def _catch_all(columns: Iterable[Column]) -> str | None:
    """The jsonb column that looks made for leftovers, by its name."""
    free = [c.name for c in columns if c.base == "jsonb" and not c.array and writable(c)]
    for name in _CATCH_ALLS:
        for column in free:
            if column == name or column.endswith("_" + name):
                return column
    return None
