"""Whether a fix makes sense for a live relation at all, before anybody approves it: names exist, types agree, no generated column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from healing.core import labels
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
from healing.core.preconditions import writable
from healing.core.refusals import rejects
from healing.core.typenames import plain
from healing.core.types import Json
from healing.core.values import shown
from schema_monitor.core.snapshot import Column, Relation, Snapshot

_TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})


def typecheck(fixes: Sequence[Fix], relation: Relation, snapshot: Snapshot) -> list[str]:
    """Everything that is wrong with the fixes for the relation (the live one, after a ``rename_table``); empty where nothing is.

    Columns are named as they are after the renames: ``[rename_column(a, b), cast(b, …)]``.
    """
    found = [why for fix in fixes for why in _wrong(fix, relation, snapshot)]
    targets = [fix.target for fix in fixes if isinstance(fix, RenameColumn)]
    found += [f"two keys would be written to `{name}`" for name in dict.fromkeys(targets) if targets.count(name) > 1]
    return list(dict.fromkeys(found))


def _wrong(fix: Fix, relation: Relation, snapshot: Snapshot) -> Iterable[str]:
    match fix:
        case RenameColumn(target=name) | Fill(column=name) | Cast(column=name) | MapValue(column=name) | Truncate(column=name):
            column = relation.column(name)
            if (why := writable(name, relation)) is not None or column is None:
                return [why or ""]
            return _unfit(fix, column, relation, snapshot)
        case Rescue(into=name):
            column = relation.column(name)
            if (why := writable(name, relation)) is not None or column is None:
                return [why or ""]
            return [] if column.base in ("json", "jsonb") and not column.array else [f"`{name}` is {column.type}, no jsonb column"]
        case UseDefault(column=name):
            column = relation.column(name)
            if column is None:
                return [f"there is no column `{name}` in {relation.schema}.{relation.name}"]
            has_default = column.default is not None or column.identity or column.generated or column.nullable
            return [] if has_default else [f"`{name}` has no default"]
        case KeepName(column=name):
            return [] if relation.column(name) else [f"there is no column `{name}` in {relation.schema}.{relation.name}"]
        case RenameTable(target=name):
            live = any(r.name == name and r.schema == relation.schema for r in snapshot.relations.values())
            if not live:
                return [f"there is no table `{name}` in {relation.schema}"]
            return [] if relation.name == name else [f"the fix is for `{name}`, not for `{relation.name}`"]
        case DropKey() | SplitBatch():
            return []


def _unfit(fix: Fix, column: Column, relation: Relation, snapshot: Snapshot) -> Iterable[str]:
    """What is wrong with an op whose column exists and can be written."""
    match fix:
        case MapValue(target=value):
            return _refused(value, column, relation, snapshot)
        case Fill(value=value) if value is not msgspec.UNSET:
            return _refused(value, column, relation, snapshot)
        case Cast(target=target) if not _same_type(target, column):
            return [f"`{column.name}` is {column.type}, not {target}"]
        case Truncate() if column.array or column.base not in _TEXTS:
            return [f"`{column.name}` is {column.type}, which has no characters to cut"]
        case Truncate(n=n) if column.length is not None and n > column.length:
            return [f"`{column.name}` takes {column.length} characters, not {n}"]
    return []


def _refused(value: Json, column: Column, relation: Relation, snapshot: Snapshot) -> Iterable[str]:
    found = rejects(value, column, labels.of(column, relation, snapshot.enums))
    return [] if found is None else [f"{shown(value)} does not fit `{column.name}` ({found.expected})"]


def _same_type(name: str, column: Column) -> bool:
    """Whether a type as a person writes it is the column's, whatever its modifiers."""
    return plain(name) in {plain(column.type), plain(column.base + ("[]" if column.array else ""))}
