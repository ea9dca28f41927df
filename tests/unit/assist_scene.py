"""A table, a write that does not fit it, and what a model would be told: for tests of the AI tier's pure half."""

from __future__ import annotations

from msgspec import Struct

from healing.core import fixes
from healing.core.assist import Facts, choices, facts_of, read_answer
from healing.core.assist.answer import Answered
from healing.core.assist.choices import Choice
from healing.core.types import Json, Kind, Misfit, Operation, Row, Statement
from schema_monitor.core.snapshot import Column, Constraint, Relation, Scope, Snapshot

COLUMNS = (
    Column(1, "id", "bigint", "int8", nullable=False, identity="a"),
    Column(2, "email_address", "text", "text"),
    Column(3, "is_admin", "boolean", "bool", default="false"),
    Column(4, "details", "jsonb", "jsonb"),
    Column(5, "status", "text", "text", comment="how it goes"),
    Column(6, "owner_id", "uuid", "uuid", nullable=False),
    Column(7, "total", "numeric", "numeric", generated="s"),
)
STATUS = Constraint(1, "people_status_check", "c", (5,), allowed=("active", "ended"))


def relation(*more: Column, comment: str | None = None) -> Relation:
    """``people``, with further columns."""
    return Relation(1, "public", "people", "r", (*COLUMNS, *more), (STATUS,), comment=comment)


class Scene(Struct, frozen=True):
    """One write with its misfits, and the choices and facts that follow."""

    statement: Statement
    misfits: tuple[Misfit, ...]
    relation: Relation
    snapshot: Snapshot
    found: tuple[Choice, ...]
    facts: Facts

    def read(self, text: str) -> Answered:
        """What is read of an answer."""
        return read_answer(text, self.found, self.facts.names, self.misfits)


def scene(row: Row, *misfits: Misfit, on: Relation | None = None, operation: Operation = Operation.INSERT, **more: Json) -> Scene:
    """A write of one row. Without misfits: every key that is no column is unknown."""
    table = on or relation()
    given = misfits or tuple(Misfit(Kind.UNKNOWN_COLUMN, k, v) for k, v in row.items() if table.column(k) is None)
    statement = Statement(operation, "public", "people", (row,))
    snapshot = Snapshot(Scope("1", 1), 180000, {1: table}, {}, {})
    found = choices(statement, given, table, snapshot, ("sub", "email"))
    return Scene(statement, given, table, snapshot, found, facts_of(statement, given, table, snapshot, found, **more))


def rename(source: str, target: str) -> tuple[fixes.Fix, ...]:
    """A fix of one rename."""
    return (fixes.RenameColumn(source, target),)
