"""Why a fix must not be applied to a row: its preconditions against the live relation, told before anything is written."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from healing.core import formats, labels
from healing.core.ops import (
    Cast,
    DropKey,
    Fill,
    Fix,
    KeepName,
    MapValue,
    RenameColumn,
    RenameTable,
    Rescue,
    SplitBatch,
    Truncate,
    UseDefault,
)
from healing.core.refusals import rejects
from healing.core.types import Json, Kind, Operation, Row
from healing.core.values import same, shown
from schema_monitor.core.snapshot import Column, Relation


def blocks(fix: Fix, row: Row, relation: Relation, operation: Operation | None = None) -> str | None:
    """Why the fix must not be applied to the row; None where it may, or does not concern the row.

    ``operation`` makes it stricter for updates, where a key that was not sent must not be written.
    """
    match fix:
        case RenameColumn(source=old, target=new) if old in row:
            if new in row:
                return f"`{new}` is already in the payload"
            return _unfit(row[old], new, relation)
        case RenameTable(target=new) if relation.name != new:
            return f"`{new}` is not the table at hand, that is `{relation.name}`"
        case Cast(column=column) if column in row:
            value = formats.read(fix.reading, row[column])
            if isinstance(value, formats.Unfit):
                return f"{shown(row[column])} in `{column}` is not {formats.FORMATS[fix.reading].says}"
            return _unfit(value, column, relation)
        case MapValue(column=column, source=old, target=new) if column in row and same(row[column], old):
            return _unfit(new, column, relation)
        case Fill():
            return _fill_blocks(fix, row, relation, operation)
        case UseDefault(column=column) if column in row and row[column] is None:
            return _no_default(column, relation, operation)
        case Truncate(column=column, n=n) if isinstance(row.get(column), str):
            return _unfit(row[column][:n], column, relation)
        case Rescue() if fix.column in row:
            return _rescue_blocks(fix, row, relation, operation)
        case KeepName(column=column) if relation.column(column) is None:
            return _absent(column, relation)
        case DropKey() | SplitBatch():
            return None
    return None


def blocked(fixes: Sequence[Fix], row: Row, relation: Relation, operation: Operation | None = None) -> str | None:
    """Why the fixes together must not be applied: each against the row as the ones before it leave it, renames at once.

    A column that is itself renamed away does not count as taken. Claims are not known here, so what they fill is not judged.
    """
    renames = {fix.source: fix.target for fix in fixes if isinstance(fix, RenameColumn)}
    rest = {key: value for key, value in row.items() if key not in renames}
    targets = [new for old, new in renames.items() if old in row]
    if len(set(targets)) != len(targets):
        return "two keys would be written to one column"
    for old, new in renames.items():
        if old in row and (why := blocks(RenameColumn(source=old, target=new), {**rest, old: row[old]}, relation, operation)) is not None:
            return why
    seen = {renames.get(key, key): value for key, value in row.items()}
    for fix in fixes:
        if isinstance(fix, RenameColumn):
            continue
        if (why := blocks(fix, seen, relation, operation)) is not None:
            return why
        seen = _after(fix, seen)
    return None


def _after(fix: Fix, row: Row) -> Row:
    """What later ops of the same fix must know: which keys went, and which texts were read."""
    match fix:
        case DropKey(column=column) | Rescue(column=column):
            return {key: value for key, value in row.items() if key != column}
        case Cast(column=column) if column in row:
            return {**row, column: formats.read(fix.reading, row[column])}
    return row


def writable(name: str, relation: Relation) -> str | None:
    """Why nobody can write the column; None where it can be written."""
    column = relation.column(name)
    if column is None:
        return _absent(name, relation)
    if column.generated:
        return f"`{name}` is a generated column"
    return f"`{name}` is generated always as identity" if column.identity == "a" else None


def misfit_text(value: Json, column: Column, relation: Relation) -> str | None:
    """Why the column would refuse the value, said to a person."""
    found = rejects(value, column, labels.checked(column, relation))
    if found is None:
        return None
    if found.kind is Kind.MISSING_VALUE:
        return f"`{column.name}` takes no null"
    return f"{shown(value)} does not fit `{column.name}` ({found.expected})"


def _unfit(value: Json, name: str, relation: Relation) -> str | None:
    why = writable(name, relation)
    column = relation.column(name)
    return why if why is not None or column is None else misfit_text(value, column, relation)


def _absent(name: str, relation: Relation) -> str:
    return f"there is no column `{name}` in {relation.schema}.{relation.name}"


def _fill_blocks(fix: Fill, row: Row, relation: Relation, operation: Operation | None) -> str | None:
    if row.get(fix.column) is not None:
        return None
    if operation is Operation.UPDATE and fix.column not in row:
        return f"an update that does not name `{fix.column}` must not set it"  # noqa: S608 - prose
    if fix.from_key is not None:
        if fix.from_key not in row:
            return f"`{fix.from_key}` is not in the payload"
        return _unfit(row[fix.from_key], fix.column, relation)
    return writable(fix.column, relation) if fix.value is msgspec.UNSET else _unfit(fix.value, fix.column, relation)


def _no_default(name: str, relation: Relation, operation: Operation | None) -> str | None:
    column = relation.column(name)
    if column is None:
        return _absent(name, relation)
    if operation is Operation.UPDATE:
        return f"an update that leaves `{name}` out keeps the old value, not the default"
    has_default = column.default is not None or column.identity or column.generated or column.nullable
    return None if has_default else f"`{name}` has no default"


def _rescue_blocks(fix: Rescue, row: Row, relation: Relation, operation: Operation | None) -> str | None:
    column = relation.column(fix.into)
    if column is None or (why := writable(fix.into, relation)) is not None:
        return _absent(fix.into, relation) if column is None else why
    if column.array or column.base not in ("json", "jsonb"):
        return f"`{fix.into}` is no jsonb column"
    into = row.get(fix.into)
    if operation in (Operation.UPDATE, Operation.UPSERT) and fix.into not in row:
        return f"an {operation} would overwrite what `{fix.into}` already holds"
    if into is not None and not isinstance(into, dict):
        return f"`{fix.into}` is no object in the payload"
    return f"`{fix.into}` already has a key `{fix.column}`" if isinstance(into, dict) and fix.column in into else None
