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
        gone, come = key - column, column - key
        parts = [] if gone and come else [self._odds(self.words.get(word), 0.3) for word in sorted(gone | come)]
        swap = self.swaps.get(" ".join(sorted((*gone, *come)))) if len(gone) == 1 and len(come) == 1 else None
        swapped = len(gone) == 1 and len(come) == 1
        commonness = self._commonness
        common = [commonness.get(word, -1.0) for word in sorted(gone | come)]  # one order: sums of floats depend on it
        return (
            max(parts, default=_NEVER),
            min(parts, default=_NEVER),
            self._odds(swap, 0.5),
            (float(swap[0]) if swap else 0.0) if swapped else -1.0,
            sum(common) / len(common) if common else -4.0,
        )

    @staticmethod
    def _odds(counts: tuple[int, int] | None, prior: float) -> float:
        return 0.0 if counts is None else log((counts[0] + prior) / (counts[1] + prior))

    @cached_property
    def _commonness(self) -> dict[str, float]:
        """How often each word tells two things apart, of the projects that use it."""
        return {word: log((self.words.get(word, (0, 0))[0] + 0.5) / (used + 1)) for word, used in self.common.items()}
