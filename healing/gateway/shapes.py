"""What is worked out once for all requests of a shape, as true as the state that it was worked out under."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
LONGEST = 4000
"""Characters in a shape. What is longer (some 300 columns) is worked out each time: names are the callers', who could fill the memory."""
MOST = 20_000
"""of the shapes seen last, and as many before them: some shapes for each of ten thousand tables. One is about 3 kB."""


def is_long(*texts: str | None) -> bool:
    """Whether a shape with these texts in it is not to be remembered."""
    return sum([len(text) for text in texts if text is not None]) > LONGEST


class Shapes:
    """Remembers by shape, for one state at a time. Callers keep their shapes apart."""

    def __init__(self) -> None:
        self._under: object = None
        self._known: dict[object, Any] = {}
        self._before: dict[object, Any] = {}
        """what was known until it was too much; what is met again moves up, and nothing else is worked out anew because of it."""

    def find(self, under: object, shape: object, make: Callable[[], T]) -> T:
        """What ``make`` said of the shape under that state."""
        if under is not self._under:
            self._under, self._known, self._before = under, {}, {}
        try:
            found: T = self._known[shape]
        except KeyError:
            found = self._before[shape] if shape in self._before else make()
            if len(self._known) >= MOST:
                self._known, self._before = {}, self._known
            self._known[shape] = found
        return found
