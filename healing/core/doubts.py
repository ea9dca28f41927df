"""What would make a fix wrong, said to the person who decides: only what no test can tell."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import msgspec

from healing.core import formats
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
from healing.core.values import json_text, shown
from schema_monitor.core.snapshot import Relation

_ANYTHING = frozenset({"text", "varchar", "bpchar", "citext", "json", "jsonb"})


def doubts(ops: Iterable[Fix], relation: Relation) -> tuple[str, ...]:
    """One sentence a way to be wrong."""
    return tuple(dict.fromkeys(sentence for op in ops for sentence in _of(op, relation)))


def _of(op: Fix, relation: Relation) -> Iterator[str]:
    match op:
        case RenameColumn(source=old, target=new):
            yield f"`{old}` means something else than `{new}`: then every such value lands in a wrong column."
            yield _would_show(new, relation)
        case RenameTable(source=old, target=new):
            yield f"`{old}` was another table than `{new}`: then whole rows land in a wrong place."
        case Cast(column=column):
            yield f"Some caller does not write `{column}` as {formats.FORMATS[op.reading].says}: then the value is read as another one."
        case MapValue(column=column, source=old, target=new):
            yield f"Somebody means anything but {_said(new)} by {_said(old)} in `{column}`."
        case Fill(column=column, claim=str() as claim):
            yield f"A caller writes for somebody else: `{column}` would be the caller's own `{claim}`."
        case Fill(column=column, from_key=str() as key):
            yield f"`{column}` and `{key}` are two different things that happen to be equal in these writes."
        case Fill(column=column, value=value) if value is not msgspec.UNSET:
            yield f"A write for which {_said(value)} is not true: `{column}` would look known and be made up."
        case UseDefault(column=column):
            yield f"Null was meant: `{column}` gets its default instead."
        case DropKey(column=column):
            yield f"Somebody needs `{column}`: its value is stored nowhere."
        case Truncate(column=column, n=n):
            yield f"What comes after {n} characters of `{column}` mattered."
        case Rescue(column=column, into=into):
            yield f"Somebody looks for `{column}` where it is not: it lies inside `{into}`."
        case KeepName(column=column):
            yield f"A caller still means the column that was called `{column}` before."
        case SplitBatch() | Fill():
            return


def _would_show(name: str, relation: Relation) -> str:
    column = relation.column(name)
    if column is None or column.base in _ANYTHING:
        return f"`{name}` takes almost anything, so a mix-up would not show in an error."
    return f"A mix-up of two columns of type {column.type} would not show in an error; values of other types would be kept, not stored."


def _said(value: object) -> str:
    return shown(json_text(value))
