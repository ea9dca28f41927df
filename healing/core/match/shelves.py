"""Names side by side, taken apart once: where to look for those that are like a word. A new name is heard by all at once instead of
being compared with each.

Sets of names are bits of a number, one for each place.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from math import log2

from msgspec import Struct

from .likeness import Alike, Kinship, apart, compare
from .names import Name, dice, marks, name_of, same_words, synonyms
from .reading import Reading, Stems, read

_MOST_WORDS, _MOST_PAIRS, _MOST_SHELVES = 256, 4_096, 8
"""that are remembered: words beyond the names' own, and pairs of names, of each; lists of names"""


class Heard(Struct, frozen=True, gc=False, eq=False):
    """A name as the others hear it: for each of its words those of theirs that may stand for it, which names have one of these
    (no others are alike but by letters), and how many trigrams it shares with which."""

    reading: Reading
    alike: Alike
    kin: int
    common: Mapping[int, int]


class Shelves(Struct, frozen=True, eq=False):
    """Names in their order, all of one ``owner``."""

    owner: Name
    names: tuple[str, ...]
    size: float
    """log2 of how many there are"""
    places: Mapping[str, int]
    readings: tuple[Reading, ...]
    having: Mapping[str, int]
    """the names that have a stem."""
    vocabulary: Mapping[str, int]
    """how many have it."""
    words: Mapping[str, int]
    """the names that have a word."""
    marked: Mapping[str, tuple[str, ...]]
    """the words by each of the marks (``marks``) that they may be found by."""
    grams: Mapping[str, tuple[int, ...]]
    """the places of the names that have a trigram."""
    _alike: dict[str, Mapping[str, float]]
    _bases: dict[int, float]

    def hear(self, name: Name) -> Heard:
        """Compares the words of a new name with all of theirs."""
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
        """``dice`` of a new name and one of these."""
        common = heard.common.get(place, 0)
        return 2 * common / (len(heard.reading.name.trigrams) + len(self.readings[place].name.trigrams)) if common else 0.0

    def kinship(self, heard: Heard, place: int) -> Kinship:
        """Compares a new name with one of these."""
        close = self.close(heard, place)
        return compare(heard.reading, heard.alike, self.readings[place], close) if heard.kin >> place & 1 else apart(close)

    def base(self, place: int, other: int) -> float:
        """How near two of them are."""
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
        """Those that have one of the stems."""
        found = 0
        for stem in stems:
            found |= self.having.get(stem, 0)
        return found

    def all_of(self, stems: Stems) -> int:
        """Those that have all of the stems."""
        found = -1
        for stem in stems:
            found &= self.having.get(stem, 0)
        return found

    def _alike_of(self, word: str) -> Mapping[str, float]:
        known = self._alike.get(word)
        if known is None:
            if len(self._alike) >= _MOST_WORDS + len(self.words):
                self._alike.clear()
            likely = {other for mark in (*marks(word), *synonyms(word)) for other in self.marked.get(mark, ())}
            known = self._alike[word] = same_words(word, likely) or _NOBODY
        return known


_NOBODY: Mapping[str, float] = {}


@lru_cache(maxsize=_MOST_SHELVES)
def shelves_of(names: tuple[str, ...]) -> Shelves:
    """Names of their own, such as those of the tables."""
    return shelved(names, name_of(""))


def shelved(names: tuple[str, ...], owner: Name) -> Shelves:
    """Takes them apart."""
    readings = tuple([read(name_of(name), owner) for name in names])
    having, words = _bits([r.name.stems for r in readings]), _bits([r.name.words for r in readings])
    marked: dict[str, list[str]] = {}
    for word in words:
        for mark in set(marks(word)):
            marked.setdefault(mark, []).append(word)
    grams: dict[str, list[int]] = {}
    for place, reading in enumerate(readings):
        for gram in reading.name.trigrams:
            grams.setdefault(gram, []).append(place)
    return Shelves(
        owner,
        names,
        log2(len(names)) if names else 0.0,
        {name: place for place, name in enumerate(names)},
        readings,
        having,
        {stem: found.bit_count() for stem, found in having.items()},
        words,
        {mark: tuple(found) for mark, found in marked.items()},
        {gram: tuple(found) for gram, found in grams.items()},
        {},
        {},
    )


def places(names: int) -> Iterator[int]:
    """Where the names of a set stand."""
    while names:
        lowest = names & -names
        yield lowest.bit_length() - 1
        names ^= lowest


def _bits(names: Iterable[Iterable[str]]) -> dict[str, int]:
    """word -> the names that have it"""
    found: dict[str, int] = {}
    for place, words in enumerate(names):
        for word in words:
            found[word] = found.get(word, 0) | 1 << place
    return found
