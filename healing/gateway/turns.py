"""A queue in which everybody waits in line for themselves, and the lines take turns: who sends a thousand does not keep back who sends one.

>>> turns = Turns()
>>> for who, what in (("a", 1), ("a", 2), ("a", 3), ("b", 4)): turns.put(who, what)
>>> [turns.take() for _ in range(len(turns))]
[1, 4, 2, 3]
"""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Generic, TypeVar

T = TypeVar("T")


class Turns(Generic[T]):
    """First in, first out for each ``who``; round and round between them."""

    __slots__ = ("_count", "_lines")

    def __init__(self) -> None:
        self._lines: OrderedDict[str, deque[T]] = OrderedDict()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def put(self, who: str, what: T) -> None:
        """At the end of one's own line."""
        line = self._lines.get(who)
        if line is None:
            line = self._lines[who] = deque()
        line.append(what)
        self._count += 1

    def peek(self) -> T:
        """What ``take`` would give. Raises ``IndexError`` where nobody waits."""
        for line in self._lines.values():
            return line[0]
        raise IndexError("nobody waits")

    def take(self) -> T:
        """The next one; its line goes behind the others. Raises ``IndexError`` where nobody waits."""
        for who, line in self._lines.items():
            what = line.popleft()
            self._count -= 1
            if line:
                self._lines.move_to_end(who)
            else:
                del self._lines[who]
            return what
        raise IndexError("nobody waits")

    def remove(self, who: str, what: T) -> None:
        """Takes one out of its line, wherever it stands; nothing where it is gone."""
        line = self._lines.get(who)
        if line is not None and what in line:
            line.remove(what)
            self._count -= 1
            if not line:
                del self._lines[who]
