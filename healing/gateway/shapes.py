"""What is worked out once for all requests of a shape, as true as the state that it was worked out under."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
MOST = 5_000


class Shapes:
    """Remembers by shape, for one state at a time. Callers keep their shapes apart."""

    def __init__(self) -> None:
        self._under: object = None
        self._known: dict[object, Any] = {}

    def find(self, under: object, shape: object, make: Callable[[], T]) -> T:
        """What ``make`` said of the shape under that state."""
        if under is not self._under or len(self._known) > MOST:
            self._under, self._known = under, {}
        if shape not in self._known:
            self._known[shape] = make()
        found: T = self._known[shape]
        return found
