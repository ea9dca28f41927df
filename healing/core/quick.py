"""The quick way to a known fix: payloads whose only trouble is keys with exactly one meaning.

What a set of keys means (live, renamed by lineage, renamed by an approved rule) is settled once per shape and remembered by the
caller; then a row costs the vet's look at its values. Anything else is left to ``mend``, which decides the same.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from healing.core import fixes
from healing.core.mend import Context, may_use_rules
from healing.core.signature import of
from healing.core.types import Kind, Rule
from healing.core.vet import Accepted, Vet
from schema_monitor.core.lineage import Live, Renamed

_LONGEST = 63
"""Bytes of a name in Postgres."""


class Shape(Struct, frozen=True):
    """What the keys of a row mean: ``names`` maps each to its live column; ``found`` tells how each rename is known."""

    names: dict[str, str]
    found: tuple[tuple[fixes.RenameColumn, str, str | None], ...]


def shape_of(keys: tuple[str, ...], context: Context) -> Shape | None:
    """The meaning of a set of keys; None where one of them has none, several, or two keys mean the same column."""
    names: dict[str, str] = {}
    found: list[tuple[fixes.RenameColumn, str, str | None]] = []
    if any(Kind.MISSING_VALUE in rule.signature for rule in context.rules):
        return None
    for key in keys:
        renamed = _rename(key, context)
        if renamed is None:
            return None
        names[key] = renamed[0]
        if renamed[0] != key:
            found.append((fixes.RenameColumn(key, renamed[0]), *renamed[1]))
    if not found or len(set(names.values())) != len(keys):
        return None
    return Shape(names, tuple(found))


def accepted(names: Mapping[str, str], vet: Vet) -> dict[str, Accepted] | None:
    """What is fine for each key as sent, which ``names`` maps to a live column; None where a key could not be named in a statement."""
    if any(not key or "\0" in key or len(key.encode()) > _LONGEST for key in names):
        return None
    return {key: vet.accepts[name] for key, name in names.items() if name in vet.accepts}


def _rename(key: str, context: Context) -> tuple[str, tuple[str, str | None]] | None:
    relation = context.relation
    if relation is None:
        return None
    match context.lineage.resolve_column(relation, key):
        case Live(column):
            return column.name, ("", None)
        case Renamed(column):
            return column.name, ("lineage", None)
    rule = next((rule for rule in context.rules if rule.signature == of(Kind.UNKNOWN_COLUMN, key)), None)
    target = _target(rule) if rule is not None and may_use_rules(context.level) else None
    return None if target is None or rule is None else (target, (rule.source, rule.id))


def _target(rule: Rule) -> str | None:
    """The column that a rule which is a single rename writes to."""
    program = fixes.parse(list(rule.fix))
    match program:
        case (fixes.RenameColumn(_, target),):
            return target
    return None
