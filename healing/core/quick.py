"""The quick way to a known fix: payloads whose only trouble is keys with exactly one meaning.

What a set of keys means (live, renamed by lineage, renamed by an approved rule) is settled once per shape and remembered by the
caller; then a row costs one dict and the vet's look at its values. Anything else is left to ``mend``, which decides the same.
"""

from __future__ import annotations

from msgspec import Struct

from healing.core import fixes
from healing.core.mend import Applied, Context, Mended, may_use_rules
from healing.core.types import Kind, Rule, Statement
from healing.core.vet import clean
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


def mend_shape(statement: Statement, shape: Shape, context: Context) -> Mended | None:
    """The statement under live names; None where a value needs a second look. All rows have the keys of the shape."""
    vet = context.vet
    if vet is None:
        return None
    names = shape.names
    rows = tuple([{names[key]: value for key, value in row.items()} for row in statement.rows])
    if not all([clean(row, vet) for row in rows]):
        return None
    every = tuple(range(len(rows)))
    applied = tuple([Applied(fix, source, rule, every) for fix, source, rule in shape.found])
    return Mended(Statement(statement.operation, statement.schema, statement.table, rows), applied)


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
