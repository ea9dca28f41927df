"""What a caller should change in their own code so that no fix is needed: in one line for the ``hint`` of an error, and as a TypeScript
diff for receipts. It knows no file, only the call that is meant.

Never a value, with one exception: the labels of a closed list (an enum, a check list) are part of the schema, and are shown.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterable, Sequence
from typing import Final

from healing.core import formats
from healing.core.ops import Cast, DropKey, Fill, Fix, MapValue, RenameColumn, RenameTable, Rescue, Truncate, UseDefault
from healing.core.types import Json, Operation, Statement
from healing.core.values import json_text, shown

_WORD: Final = re.compile(r"[A-Za-z_$][\w$]*", re.ASCII)
_PLAIN: Final = (None, True, False)
"""Beside the empty text: values that tell nothing about anybody."""


def source_patch(statement: Statement, fixes: Iterable[Fix], closed: Container[str] = ()) -> str:
    """``in .from('projects').insert: `name` → `title```; '' where nothing in the code need change. ``closed``: columns whose values are a
    closed list."""
    parts = list(dict.fromkeys(part for fix in fixes if (part := _part(fix, closed))))
    return f"in {_place(statement.table, str(statement.operation))}: {'; '.join(parts)}" if parts else ""


def source_diff(table: str, operation: str, fixes: Sequence[tuple[Fix, bool]], closed: Container[str] = ()) -> str:
    """The same as a diff of the call, as it may stand in any file. With each fix: whether it is about the payload (else about a name in
    filters, ``select`` or ``order``). '' where nothing in the code need change."""
    lines = list(dict.fromkeys(line for fix, sent in fixes for line in (_lines(fix, closed) if sent else _named(fix))))
    if not lines:
        return ""
    return "\n".join([f"@@ {_place(table, operation)}({{ … }}) @@", *lines])


def _place(table: str, operation: str) -> str:
    return f".rpc({_quoted(table)})" if operation == Operation.RPC else f".from({_quoted(table)}).{operation}"


def _part(fix: Fix, closed: Container[str]) -> str:
    """The edit that makes one fix needless."""
    match fix:
        case RenameColumn(source=old, target=new):
            return f"`{old}` → `{new}`"
        case RenameTable(source=old, target=new):
            return f".from('{old}') → .from('{new}')"
        case Cast(column=column, target=target):
            return f"send `{column}` as {target} ({formats.FORMATS[fix.reading].says})"
        case MapValue(column=column, source=old, target=new) if _may_show(fix, closed):
            return f"`{column}`: {shown(json_text(old))} → {shown(json_text(new))}"
        case MapValue(column=column):
            return f"send another value for `{column}`"
        case Fill(column=column, from_key=str() as key):
            return f"add `{column}` with the value of `{key}`"
        case Fill(column=column, claim=str() as claim):
            return f"add `{column}` with the caller's `{claim}`"
        case Fill(column=column):
            return f"add `{column}`"
        case UseDefault(column=column) | DropKey(column=column):
            return f"leave out `{column}`"
        case Truncate(column=column, n=n):
            return f"cut `{column}` to {n} characters"
        case Rescue(column=column, into=into):
            return f"move `{column}` into `{into}`"
    return ""


def _lines(fix: Fix, closed: Container[str]) -> tuple[str, ...]:
    match fix:
        case RenameColumn(source=old, target=new):
            return f"-   {_key(old)}: …,", f"+   {_key(new)}: …,"
        case RenameTable(source=old, target=new):
            return f"- .from({_quoted(old)})", f"+ .from({_quoted(new)})"
        case Cast(column=column, target=target):
            return f"-   {_key(column)}: …,", f"+   {_key(column)}: …, // as {target}: {formats.FORMATS[fix.reading].says}"
        case MapValue(column=column, source=old, target=new) if _may_show(fix, closed):
            return f"-   {_key(column)}: {_literal(old)},", f"+   {_key(column)}: {_literal(new)},"
        case MapValue(column=column):
            return f"-   {_key(column)}: …,", f"+   {_key(column)}: …, // the value that the fix names"
        case Fill(column=column, from_key=str() as key):
            return (f"+   {_key(column)}: …, // the value of {_key(key)}",)
        case Fill(column=column, claim=str() as claim):
            return (f"+   {_key(column)}: …, // the caller's {_one_line(claim)}",)
        case Fill(column=column):
            return (f"+   {_key(column)}: …, // the value that the fix names",)
        case UseDefault(column=column) | DropKey(column=column):
            return (f"-   {_key(column)}: …,",)
        case Truncate(column=column, n=n):
            return f"-   {_key(column)}: …,", f"+   {_key(column)}: ….slice(0, {n}),"
        case Rescue(column=column, into=into):
            return f"-   {_key(column)}: …,", f"+   {_key(into)}: {{ …, {_key(column)}: … }},"
    return ()


def _named(fix: Fix) -> tuple[str, ...]:
    match fix:
        case RenameColumn(source=old, target=new):
            return f"- {_quoted(old)} // in filters, select, order", f"+ {_quoted(new)}"
        case RenameTable():
            return _lines(fix, ())
    return ()


def _may_show(fix: MapValue, closed: Container[str]) -> bool:
    listed = fix.column in closed and isinstance(fix.source, str) and isinstance(fix.target, str)
    return listed or (_is_plain(fix.source) and _is_plain(fix.target))


def _is_plain(value: Json) -> bool:
    return any(value is plain for plain in _PLAIN) or value == ""


def _key(name: str) -> str:
    return name if _WORD.fullmatch(name) else _quoted(name)


def _literal(value: Json) -> str:
    return _quoted(value) if isinstance(value, str) else json_text(value)


def _quoted(text: str) -> str:
    """A TypeScript string in one line."""
    return "'" + _one_line(text).replace("\\", "\\\\").replace("'", "\\'") + "'"


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else "�" for c in text)
