"""What people do with single words in the names of columns, counted over projects: a word whose coming or going leaves the same thing
(a rename), or makes another one (both names live side by side in one table).

The counts are part of the trained model; a word is its stem. ``["cost", 9, 1]``: in nine projects some table has ``price`` beside
``cost_price``, in one project a column was renamed by adding or taking away ``cost``.
"""

from __future__ import annotations

from functools import cached_property
from math import log

from msgspec import Struct

from .reading import Stems

Counts = dict[str, tuple[int, int]]
"""word, or two words in order with a blank between -> in how many projects it tells two things apart, in how many it was a rename"""

HABITS = ("word_parts", "word_parts_least", "swap_parts", "swap_seen", "word_common")
_NEVER = -3.0


class Habits(Struct, frozen=True, dict=True):
    """``words``: what is added or taken away; ``swaps``: one word in the place of another; ``common``: columns that have the word."""

    words: Counts = {}
    swaps: Counts = {}
    common: dict[str, int] = {}

    def numbers(self, key: Stems, column: Stems) -> tuple[float, ...]:
        """In the order of ``HABITS``, for the stems of both."""
        words = sorted(key ^ column)  # one order: sums of floats depend on it
        gone, commonness = key - column, self._commonness
        common = sum([commonness.get(word, -1.0) for word in words]) / len(words) if words else -4.0
        if not gone or len(gone) == len(words):
            parts = [self._apart.get(word, 0.0) for word in words]
            return (max(parts, default=_NEVER), min(parts, default=_NEVER), 0.0, -1.0, common)
        if len(words) > 2:
            return (_NEVER, _NEVER, 0.0, -1.0, common)
        swap = self.swaps.get(" ".join(words))
        return (_NEVER, _NEVER, _odds(swap, 0.5), float(swap[0]), common) if swap else (_NEVER, _NEVER, 0.0, 0.0, common)

    @cached_property
    def _apart(self) -> dict[str, float]:
        """How much more often each word tells two things apart than it came or went in a rename."""
        return {word: _odds(counts, 0.3) for word, counts in self.words.items()}

    @cached_property
    def _commonness(self) -> dict[str, float]:
        """How often each word tells two things apart, of the projects that use it."""
        return {word: log((self.words.get(word, (0, 0))[0] + 0.5) / (used + 1)) for word, used in self.common.items()}


def _odds(counts: tuple[int, int], prior: float) -> float:
    return log((counts[0] + prior) / (counts[1] + prior))
