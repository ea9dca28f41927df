"""Whether a model's fix may be considered at all: it fits the schema and the rows, and touches nothing but what did not fit.

This is on purpose independent of how the answer was read: each of the two must let a fix pass.
"""

from __future__ import annotations

from collections.abc import Sequence

from healing.core import fixes
from healing.core.types import Kind, Misfit, Statement
from schema_monitor.core.snapshot import Relation, Snapshot


def check(
    ops: Sequence[fixes.Fix], statement: Statement, misfits: tuple[Misfit, ...], relation: Relation | None, snapshot: Snapshot
) -> list[str]:
    """Everything that is wrong with it; empty where nothing is. ``relation`` None: the table is unknown."""
    if relation is None:
        return _of_table(ops, statement, misfits, snapshot)
    found = fixes.typecheck(ops, relation, snapshot) + outside(ops, statement, misfits)
    if not found:
        blocked = (fixes.blocked(ops, row, relation, statement.operation) for row in statement.rows)
        found = [why for why in dict.fromkeys(blocked) if why is not None]
    return found


def outside(ops: Sequence[fixes.Fix], statement: Statement, misfits: tuple[Misfit, ...]) -> list[str]:
    """What the fix touches though nothing was wrong with it."""
    failing = {misfit.column for misfit in misfits if misfit.column}
    sent = {key for row in statement.rows for key in row} | set(statement.columns or ())
    found = []
    for op in ops:
        taken, written = _reach(op)
        found += [f"`{name}` was not at fault" for name in taken if name not in failing]
        found += [f"`{name}` was sent by the caller" for name in written if name in sent and name not in failing]
    if any(isinstance(op, fixes.SplitBatch) for op in ops) and not any(m.kind is Kind.RAGGED for m in misfits):
        found.append("the rows have the same keys")
    return found


def _reach(op: fixes.Fix) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Keys whose value the op takes away or changes, and columns that get one they did not have."""
    match op:
        case fixes.RenameColumn(source, target):
            return (source,), (target,)
        case fixes.Rescue(column):
            return (column,), ()
        case fixes.SplitBatch():
            return (), ()
        case fixes.RenameTable(source, target):
            return (source, target), ()
    return (op.column,), ()


def _of_table(ops: Sequence[fixes.Fix], statement: Statement, misfits: tuple[Misfit, ...], snapshot: Snapshot) -> list[str]:
    match tuple(ops):
        case (fixes.RenameTable(source, target),) if source == statement.table and any(m.kind is Kind.UNKNOWN_TABLE for m in misfits):
            live = any(r.name == target and r.schema == statement.schema for r in snapshot.relations.values())
            return [] if live else [f"there is no table `{target}` in {statement.schema}"]
    return ["for an unknown table only its new name can be said"]
