"""What a name means by definition, over everything a watcher ever saw. The product may forget; this never does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from schema_monitor.core.lineage import Ambiguous, Gone, Live, Renamed, Resolution, Reused, Unknown
from schema_monitor.core.snapshot import Column, EnumLabel, Relation


class Names:
    """Living names by identity, and all that a watcher saw: the oracle. It keeps every pair it saw, unlike the product."""

    def __init__(self, first: int) -> None:
        self.next, self.living, self.seen = first, dict[int, str](), set[tuple[str, int]]()

    def add(self, new: str) -> int | None:
        """The number of the new thing; None where the name is taken."""
        if new in self.living.values():
            return None
        self.living[self.next] = new
        self.next += 1
        return self.next - 1

    def rename(self, index: int, new: str) -> str | None:
        """The old name; None where nothing happened."""
        if not self.living or new in self.living.values():
            return None
        number = self.pick(index)
        old, self.living[number] = self.living[number], new
        return old

    def swap(self, index: int, other: int) -> tuple[str, str] | None:
        """The two names; None where nothing happened."""
        if not self.living or self.pick(index) == self.pick(other):
            return None
        one, two = self.pick(index), self.pick(other)
        self.living[one], self.living[two] = self.living[two], self.living[one]
        return self.living[two], self.living[one]

    def drop(self, index: int) -> str | None:
        """The name that went; None where nothing was."""
        return self.living.pop(self.pick(index)) if self.living else None

    def pick(self, index: int) -> int:
        return sorted(self.living)[index % len(self.living)]

    def look(self) -> None:
        self.seen |= {(n, i) for i, n in self.living.items()}

    def expected(self, asked: str) -> tuple[object, ...]:
        """The answer by definition, over everything seen."""
        owners = {i for n, i in self.seen if n == asked}
        holder = next((i for i, n in self.living.items() if n == asked), None)
        alive = owners & self.living.keys()
        if holder is not None:
            return ("reused", holder, alive - {holder}) if alive - {holder} else ("live", holder)
        if not owners:
            return ("unknown",)
        if not alive:
            return ("gone",)
        return ("renamed", *alive) if len(owners) == 1 else ("ambiguous", alive)


Thing = Column | Relation | EnumLabel


def by_catalog(thing: Thing) -> int:
    """The identity that the catalog gives a thing."""
    return thing.attnum if isinstance(thing, Column) else thing.oid


def said(
    resolution: Resolution[Column] | Resolution[Relation] | Resolution[EnumLabel], identity: Callable[[Any], int] = by_catalog
) -> tuple[object, ...]:
    """The product's answer in the oracle's words."""
    match resolution:
        case Live(value):
            return ("live", identity(value))
        case Renamed(value):
            return ("renamed", identity(value))
        case Reused(live, former):
            return ("reused", identity(live), {identity(f) for f in former})
        case Ambiguous(candidates):
            return ("ambiguous", {identity(c) for c in candidates})
        case Gone():
            return ("gone",)
        case Unknown():
            return ("unknown",)
