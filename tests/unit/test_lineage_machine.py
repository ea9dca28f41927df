"""Random DDL on a model: whatever happened, a name never resolves to a thing it does not surely mean."""

from __future__ import annotations

import msgspec
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Column, EnumLabel, EnumType, Relation, Scope, Snapshot
from tests.lineage_oracle import Names, said

NAMES = ("a", "b", "c", "d", "e")
name = st.sampled_from(NAMES)
which = st.integers(0, 9)
ENUM = 5


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
