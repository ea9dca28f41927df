"""Random DDL on a model: whatever happened, a name never resolves to a thing it does not surely mean."""

from __future__ import annotations

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schema_monitor.core.lineage import Ambiguous, Gone, Lineage, Live, Renamed, Resolution, Reused, Unknown
from schema_monitor.core.snapshot import Column, EnumLabel, EnumType, Relation, Scope, Snapshot

NAMES = ("a", "b", "c", "d", "e")
name = st.sampled_from(NAMES)
which = st.integers(0, 9)
ENUM = 5


class Names:
    """Living names by identity, and all that a watcher saw: the oracle. It keeps every pair it saw, unlike the product."""

    def __init__(self, first: int) -> None:
        self.next, self.living, self.seen = first, dict[int, str](), set[tuple[str, int]]()

    def add(self, new: str) -> None:
        if new not in self.living.values():
            self.living[self.next] = new
            self.next += 1

    def rename(self, index: int, new: str) -> None:
        if self.living and new not in self.living.values():
            self.living[self.pick(index)] = new

    def swap(self, index: int, other: int) -> None:
        if self.living:
            one, two = self.pick(index), self.pick(other)
            self.living[one], self.living[two] = self.living[two], self.living[one]

    def drop(self, index: int) -> None:
        if self.living:
            del self.living[self.pick(index)]

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


def said(resolution: Resolution[Column] | Resolution[Relation] | Resolution[EnumLabel]) -> tuple[object, ...]:
    """The product's answer in the oracle's words."""

    def identity(thing: Column | Relation | EnumLabel) -> int:
        return thing.attnum if isinstance(thing, Column) else thing.oid

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


class RandomDdl(RuleBasedStateMachine):
    """Tables with columns and one enum; several statements may pass between two looks."""

    def __init__(self) -> None:
        super().__init__()
        self.tables, self.labels, self.columns = Names(100), Names(900), dict[int, Names]()
        self.dirty = False
        self.labels.add("a")
        self.snapshot = self.take()
        self.lineage = Lineage.start(self.snapshot)

    def take(self) -> Snapshot:
        for names in (self.tables, self.labels, *(self.columns[oid] for oid in self.tables.living)):
            names.look()
        relations = {
            oid: Relation(oid, "public", n, "r", tuple(Column(i, c, "text", "text") for i, c in sorted(self.columns[oid].living.items())))
            for oid, n in self.tables.living.items()
        }
        enum = EnumType(ENUM, "public", "mood", tuple(EnumLabel(i, n) for i, n in self.labels.living.items()))
        return Snapshot(Scope("1", 1), 180004, relations, {ENUM: enum}, {})

    def names(self, where: int) -> Names:
        """A table's columns, the tables, or the labels."""
        choices = [self.tables, self.labels, *(self.columns[oid] for oid in sorted(self.tables.living))]
        return choices[where % len(choices)]

    @rule(where=which, new=name)
    def add(self, where: int, new: str) -> None:
        self.dirty = True
        self.names(where).add(new)
        for oid in self.tables.living.keys() - self.columns.keys():
            self.columns[oid] = Names(1)
            self.columns[oid].add("a")

    @rule(where=which, index=which, new=name)
    def rename(self, where: int, index: int, new: str) -> None:
        self.dirty = True
        self.names(where).rename(index, new)

    @rule(where=which, index=which, other=which)
    def swap(self, where: int, index: int, other: int) -> None:
        self.dirty = True
        self.names(where).swap(index, other)

    @rule(where=which, index=which)
    def drop(self, where: int, index: int) -> None:
        self.dirty = True
        if (names := self.names(where)) is not self.labels:
            names.drop(index)

    @precondition(lambda self: self.dirty)
    @rule()
    def look(self) -> None:
        self.dirty = False
        new = self.take()
        lineage = self.lineage.advance(self.snapshot, new)
        self.lineage = msgspec.json.decode(msgspec.json.encode(lineage), type=Lineage)
        self.snapshot = new

    @invariant()
    def every_name_means_what_the_whole_history_says(self) -> None:
        if self.dirty:
            return
        for asked in NAMES:
            assert said(self.lineage.resolve_relation(self.snapshot, "public", asked)) == self.tables.expected(asked)
            assert said(self.lineage.resolve_label(self.snapshot.enums[ENUM], asked)) == self.labels.expected(asked)
            for oid, relation in self.snapshot.relations.items():
                assert said(self.lineage.resolve_column(relation, asked)) == self.columns[oid].expected(asked)


TestRandomDdl = RandomDdl.TestCase
TestRandomDdl.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
