"""Random DDL on a real Postgres, read back by the catalog reader: a name never resolves to another thing than it meant.

What a thing *is* comes from a mark that Postgres carries along, not from the catalog's numbers: each column's default and each table's
comment hold the number that the test gave it when it was made; an enum's labels are told by their place.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from typing import ClassVar

import psycopg
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from resilience_site.embedded import EmbeddedPostgres
from resilience_site.embedded_state import OWNER
from schema_monitor import catalog
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Column, EnumLabel, Relation, Snapshot
from tests.lineage_oracle import Names, said

NAMES = ("a", "B b", "ç")
name = st.sampled_from(NAMES)
which = st.integers(0, 5)
numbers = count(1)


class RealDdl(RuleBasedStateMachine):
    """Two tables at most, their columns, and one enum, in a schema of this run's own."""

    database: ClassVar[psycopg.Connection]

    def __init__(self) -> None:
        super().__init__()
        self.schema = f"ddl_{next(numbers)}"
        self.tables, self.labels, self.columns = Names(1), Names(1), dict[int, Names]()
        self.run(f"CREATE SCHEMA {self.schema}", f"SET search_path = {self.schema}", "CREATE TYPE mood AS ENUM ()")
        self.add_table("a")
        self.add_label("a")
        self.snapshot, self.dirty = self.take(), False
        self.lineage = Lineage.start(self.snapshot)

    def run(self, *statements: str) -> None:
        for statement in statements:
            self.database.execute(statement)

    def take(self) -> Snapshot:
        for names in (self.tables, self.labels, *(self.columns[n] for n in self.tables.living)):
            names.look()
        return catalog.read_snapshot_sync(self.database, [self.schema])

    def table(self, index: int) -> tuple[int, str] | None:
        if not self.tables.living:
            return None
        number = self.tables.pick(index)
        return number, f'"{self.tables.living[number]}"'

    @rule(new=name)
    def add_table(self, new: str) -> None:
        if len(self.tables.living) < 2 and (number := self.tables.add(new)):
            self.dirty, self.columns[number] = True, Names(1)
            self.run(f'CREATE TABLE "{new}" ()', f"COMMENT ON TABLE \"{new}\" IS '{number}'")
            self.add_column(sorted(self.tables.living).index(number), "a")

    @rule(index=which, new=name)
    def rename_table(self, index: int, new: str) -> None:
        if (table := self.table(index)) and self.tables.rename(index, new):
            self.dirty = True
            self.run(f'ALTER TABLE {table[1]} RENAME TO "{new}"')

    @rule(index=which)
    def drop_table(self, index: int) -> None:
        if table := self.table(index):
            self.dirty = True
            self.tables.drop(index)
            self.run(f"DROP TABLE {table[1]}")

    @rule(index=which, new=name)
    def add_column(self, index: int, new: str) -> None:
        if (table := self.table(index)) and (mark := self.columns[table[0]].add(new)):
            self.dirty = True
            self.run(f"ALTER TABLE {table[1]} ADD \"{new}\" text DEFAULT '{mark}'")

    @rule(index=which, which_column=which, new=name)
    def rename_column(self, index: int, which_column: int, new: str) -> None:
        table = self.table(index)
        if table and (old := self.columns[table[0]].rename(which_column, new)):
            self.dirty = True
            self.run(f'ALTER TABLE {table[1]} RENAME "{old}" TO "{new}"')

    @rule(index=which, one=which, other=which)
    def swap_columns(self, index: int, one: int, other: int) -> None:
        table = self.table(index)
        if table and (pair := self.columns[table[0]].swap(one, other)):
            self.dirty = True
            alter = f"ALTER TABLE {table[1]} RENAME"
            self.run(f'{alter} "{pair[0]}" TO tmp', f'{alter} "{pair[1]}" TO "{pair[0]}"', f'{alter} tmp TO "{pair[1]}"')

    @rule(index=which, which_column=which)
    def drop_column(self, index: int, which_column: int) -> None:
        table = self.table(index)
        if table and (old := self.columns[table[0]].drop(which_column)):
            self.dirty = True
            self.run(f'ALTER TABLE {table[1]} DROP "{old}"')

    @rule(new=name)
    def add_label(self, new: str) -> None:
        if self.labels.add(new):
            self.dirty = True
            self.run(f"ALTER TYPE mood ADD VALUE '{new}'")

    @rule(index=which, new=name)
    def rename_label(self, index: int, new: str) -> None:
        if old := self.labels.rename(index, new):
            self.dirty = True
            self.run(f"ALTER TYPE mood RENAME VALUE '{old}' TO '{new}'")

    @rule()
    def rewrite(self) -> None:
        for table in self.tables.living.values():
            self.run(f'VACUUM FULL "{table}"')

    @precondition(lambda self: self.dirty)
    @rule()
    def look(self) -> None:
        self.dirty = False
        new = self.take()
        self.lineage = self.lineage.advance(self.snapshot, new)
        self.snapshot = new

    @invariant()
    def every_name_means_what_it_meant(self) -> None:
        if self.dirty:
            return
        (enum,) = self.snapshot.enums.values()
        places = {label.oid: place for place, label in enumerate(enum.labels, 1)}

        def by_place(label: EnumLabel) -> int:
            return places[label.oid]

        for asked in NAMES:
            found = self.lineage.resolve_relation(self.snapshot, self.schema, asked)
            assert said(found, by_comment) == self.tables.expected(asked)
            assert said(self.lineage.resolve_label(enum, asked), by_place) == self.labels.expected(asked)
            for relation in self.snapshot.relations.values():
                resolution = self.lineage.resolve_column(relation, asked)
                assert said(resolution, by_default) == self.columns[by_comment(relation)].expected(asked)


def by_comment(relation: Relation) -> int:
    return int(relation.comment or 0)


def by_default(column: Column) -> int:
    return int((column.default or "").split("'")[1])


def test_random_ddl_on_a_real_database(make_target: Callable[[], str], postgres: EmbeddedPostgres) -> None:
    with psycopg.connect(postgres.url(make_target(), OWNER), autocommit=True) as database:
        RealDdl.database = database
        small = settings(max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=list(HealthCheck))
        run_state_machine_as_test(RealDdl, settings=small)  # type: ignore[no-untyped-call]
