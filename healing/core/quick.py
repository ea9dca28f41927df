"""The quick way to a known fix: payloads whose only trouble is keys with exactly one meaning.

What a set of keys means (live, renamed by lineage, renamed by an approved rule) is settled once per shape and remembered by the
caller; then a row costs one dict and the vet's look at its values. Anything else is left to ``mend``, which decides the same.
"""

from __future__ import annotations

from msgspec import Struct

from healing.core import fixes
from healing.core.mend import Context, may_use_rules
from healing.core.types import Kind, Row, Rule
from healing.core.vet import Vet, all_clean, clean
from schema_monitor.core.lineage import Live, Renamed


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


def fitting(rows: tuple[Row, ...], names: dict[str, str] | None, vet: Vet) -> tuple[Row, ...] | None:
    """Rows that all have the keys of ``names``, under live names (None: they are live); None where a value needs a second look."""
    if names is not None:
        rows = tuple([{names[key]: value for key, value in row.items()} for row in rows])
    return rows if (all_clean(rows, vet) if len(rows) > 1 else clean(rows[0], vet)) else None


def _rename(key: str, context: Context) -> tuple[str, tuple[str, str | None]] | None:
    relation = context.relation
    if relation is None:
        return None
    match context.lineage.resolve_column(relation, key):
        case Live(column):
            return column.name, ("", None)
        case Renamed(column):
            return column.name, ("lineage", None)
    rule = next((rule for rule in context.rules if rule.signature == f"{Kind.UNKNOWN_COLUMN}:{key}"), None)
    target = _target(rule) if rule is not None and may_use_rules(context.level) else None
    return None if target is None or rule is None else (target, (rule.source, rule.id))


def _target(rule: Rule) -> str | None:
    """The column that a rule which is a single rename writes to."""
    program = fixes.parse(list(rule.fix))
    match program:
        case (fixes.RenameColumn(_, target),):
            return target
    return None
