"""Fixes said: a sentence for a person, and short ASCII for a response header."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

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
from healing.core.types import Change, Json
from healing.core.values import json_text, shown

LONGEST: Final = 600
"""characters of a header's value."""
_LONGEST_PART: Final = 120
_UNSAFE: Final = frozenset("%,()")


def retired(old: str, new: str) -> str:
    """For a caller that uses a former name which a person retired."""
    return f"'{old}' is called '{new}' now, and the old name was retired: send '{new}'."


def say(fix: Fix) -> str:
    """One sentence for a person."""
    match fix:
        case RenameColumn(source=old, target=new):
            return f"`{old}` is written to `{new}`."
        case RenameTable(source=old, target=new):
            return f"What is sent to table `{old}` is written to `{new}`."
        case Cast(column=column, target=target):
            return f"`{column}` is read as {target}: {formats.FORMATS[fix.reading].says}."
        case MapValue(column=column, source=old, target=new):
            return f"In `{column}`, {_quoted(old)} is written as {_quoted(new)}."
        case Fill(column=column):
            return f"`{column}`, where it is missing, is {_source(fix)}."
        case UseDefault(column=column):
            return f"`{column}` is left out where it is null, so that the column's default applies."
        case DropKey(column=column):
            return f"`{column}` is left out; its value is not stored."
        case Truncate(column=column, n=n):
            return f"`{column}` is cut to its first {n} characters."
        case Rescue(column=column, into=into):
            return f"`{column}` is kept inside `{into}`, under its own name."
        case SplitBatch():
            return "Rows with different keys are written separately, in one transaction."
        case KeepName(column=column):
            return f"`{column}` means the column that has this name now."


def _source(fix: Fill) -> str:
    if fix.from_key is not None:
        return f"copied from `{fix.from_key}`"
    return f"the caller's claim `{fix.claim}`" if fix.claim is not None else f"set to {_quoted(fix.value)}"


def _quoted(value: Json) -> str:
    return shown(json_text(value))


def brief(fix: Fix) -> str:
    """The op in a few ASCII characters, e.g. ``rename_column(email->email_address)``. Constants are not shown, labels are."""
    match fix:
        case RenameColumn(source=old, target=new):
            return f"rename_column({_ascii(old)}->{_ascii(new)})"
        case RenameTable(source=old, target=new):
            return f"rename_table({_ascii(old)}->{_ascii(new)})"
        case Cast(column=column, target=target):
            return f"cast({_ascii(column)}->{_ascii(target)} {fix.reading})"
        case MapValue(column=column, source=old, target=new):
            return f"map_value({_ascii(column)}: {_ascii(shown(old))}->{_ascii(shown(new))})"
        case Fill(column=column):
            origin = (
                f"key {_ascii(fix.from_key)}"
                if fix.from_key is not None
                else f"claim {_ascii(fix.claim)}"
                if fix.claim is not None
                else "constant"
            )
            return f"fill({_ascii(column)}<-{origin})"
        case Truncate(column=column, n=n):
            return f"truncate({_ascii(column)} to {n})"
        case Rescue(column=column, into=into):
            return f"rescue({_ascii(column)}->{_ascii(into)})"
        case SplitBatch():
            return "split_batch()"
        case UseDefault(column=column):
            return f"use_default({_ascii(column)})"
        case DropKey(column=column):
            return f"drop_key({_ascii(column)})"
        case KeepName(column=column):
            return f"keep_name({_ascii(column)})"


def header(fixes: Iterable[Fix]) -> str:
    """The value of ``Mendgate-Healed``: ASCII, each op once, at most ``LONGEST`` characters and then ``+N more``."""
    return _joined(list(dict.fromkeys(brief(fix) for fix in fixes)))


def changes_header(changes: Iterable[Change]) -> str:
    """The value of ``Mendgate-Changed``: ``price(1.239->1.24)``, ASCII and limited like ``header``."""
    return _joined(list(dict.fromkeys(f"{_ascii(c.column)}({_ascii(c.sent)}->{_ascii(c.stored)})" for c in changes)))


def _joined(parts: Sequence[str]) -> str:
    text = ", ".join(parts)
    if len(text) <= LONGEST:
        return text
    kept = list(parts)
    while kept and len(", ".join(kept)) > LONGEST - 12:
        kept.pop()
    more = f"+{len(parts) - len(kept)} more"
    return ", ".join([*kept, more])


def _ascii(text: str) -> str:
    """Printable ASCII; everything else, and what separates parts, percent-escaped as UTF-8. Long texts are cut."""
    cut = text if len(text) <= _LONGEST_PART else text[:_LONGEST_PART] + "..."
    return "".join(c if " " <= c <= "~" and c not in _UNSAFE else "".join(f"%{b:02X}" for b in c.encode("utf-8", "replace")) for c in cut)
