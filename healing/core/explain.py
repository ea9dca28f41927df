"""What a caller should change in their own code, in one line: for the ``hint`` of an error and for receipts."""

from __future__ import annotations

from collections.abc import Iterable

from healing.core import formats
from healing.core.ops import Cast, DropKey, Fill, Fix, MapValue, RenameColumn, RenameTable, Rescue, Truncate, UseDefault
from healing.core.types import Operation, Statement
from healing.core.values import json_text, shown


def source_patch(statement: Statement, fixes: Iterable[Fix]) -> str:
    """``in .from('projects').insert: `name` → `title```; '' where nothing in the code need change."""
    parts = list(dict.fromkeys(part for fix in fixes if (part := _part(fix))))
    if not parts:
        return ""
    place = f".rpc('{statement.table}')" if statement.operation is Operation.RPC else f".from('{statement.table}').{statement.operation}"
    return f"in {place}: {'; '.join(parts)}"


def _part(fix: Fix) -> str:
    """The edit that makes one fix needless."""
    match fix:
        case RenameColumn(source=old, target=new):
            return f"`{old}` → `{new}`"
        case RenameTable(source=old, target=new):
            return f".from('{old}') → .from('{new}')"
        case Cast(column=column, target=target):
            return f"send `{column}` as {target} ({formats.FORMATS[fix.reading].says})"
        case MapValue(column=column, source=old, target=new):
            return f"`{column}`: {shown(json_text(old))} → {shown(json_text(new))}"
        case Fill(column=column, from_key=str() as key):
            return f"add `{column}` with the value of `{key}`"
        case Fill(column=column, claim=str() as claim):
            return f"add `{column}` with the caller's `{claim}`"
        case Fill(column=column):
            return f"add `{column}`: {shown(json_text(fix.value))}"
        case UseDefault(column=column) | DropKey(column=column):
            return f"leave out `{column}`"
        case Truncate(column=column, n=n):
            return f"cut `{column}` to {n} characters"
        case Rescue(column=column, into=into):
            return f"move `{column}` into `{into}`"
    return ""
