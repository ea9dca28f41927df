"""Let a column take what was sent: one more enum label, one more value of a check list, or null."""

from __future__ import annotations

from collections.abc import Sequence

from healing.core.ddl.cause import Cause, Part
from healing.core.ddl.naming import may_label, slug
from healing.core.ddl.remedy import Remedy
from healing.core.types import Kind
from schema_monitor.core.piece import literal, named, quoted
from schema_monitor.core.snapshot import Column, Constraint, Relation, Snapshot


def allow_labels(cause: Cause, relation: Relation, snapshot: Snapshot) -> list[Remedy]:
    """For each value outside of its list. Values of one check list together first: each by itself would end the one before."""
    parts = cause.of(Kind.UNKNOWN_LABEL)
    listed = {part.column: [p for p in parts if p.column == part.column] for part in parts}
    together = [_allow(same, relation, snapshot) for same in listed.values() if len(same) > 1]
    return [r for r in (*together, *(_allow([part], relation, snapshot) for part in parts)) if r is not None]


def _allow(parts: Sequence[Part], relation: Relation, snapshot: Snapshot) -> Remedy | None:
    column = relation.column(parts[0].column)
    if column is None or column.domain is not None or not all(may_label(part.value) for part in parts):
        return None
    if column.enum is not None:
        return _label(parts[0], column, relation, snapshot) if len(parts) == 1 else None
    return _values(parts, column, relation)


def _label(part: Part, column: Column, relation: Relation, snapshot: Snapshot) -> Remedy | None:
    enum = snapshot.enums.get(column.enum or 0)
    if enum is None or part.value in {label.name for label in enum.labels}:
        return None
    users = sum(c.enum == enum.oid for r in snapshot.relations.values() for c in r.columns)
    other = [f"{users - 1} other column{'s' if users > 2 else ''} use the type {enum.name} and would take it, too"] if users > 1 else []
    return Remedy(
        "add_label",
        (part.signature,),
        (f"ALTER TYPE {named(enum)} ADD VALUE IF NOT EXISTS {literal(part.value)}",),
        f"add the label `{part.value}` to the type `{enum.name}`",
        slug("add", part.value, "to", enum.name),
        (f"`{relation.name}.{column.name}` takes {', '.join(label.name for label in enum.labels[:12])} today",),
        (*_alike(part.value, tuple(label.name for label in enum.labels)), *other, "a label cannot be taken out again"),
    )


def _values(parts: Sequence[Part], column: Column, relation: Relation) -> Remedy | None:
    values = [part.value for part in parts]
    lists = [c for c in relation.constraints if c.kind == "c" and c.columns == (column.attnum,) and c.allowed is not None]
    lists = [c for c in lists if not {*values} <= {*(c.allowed or ())}]
    if not lists or relation.kind not in "rp":
        return None
    known = lists[0].allowed or ()
    more = (f"and_{len(values) - 1}_more",) if len(values) > 1 else ()
    return Remedy(
        "allow_value",
        tuple(part.signature for part in parts),
        tuple(statement for constraint in lists for statement in _relisted(constraint, column, relation, values)),
        f"let `{relation.name}.{column.name}` be {', '.join(f'`{value}`' for value in values)}",
        slug("allow", values[0], *more, "in", relation.name, column.name),
        (f"the check {lists[0].name} allows {', '.join(known[:12])} today", "every row that is there satisfies the longer list"),
        tuple(doubt for value in values for doubt in _alike(value, known)),
    )


def _relisted(constraint: Constraint, column: Column, relation: Relation, values: Sequence[str]) -> tuple[str, str]:
    """Not valid first, so that writers wait for a moment only; then the rows are read under a weak lock."""
    allowed = ", ".join(literal(text) for text in dict.fromkeys((*(constraint.allowed or ()), *values)))
    table, name = named(relation), quoted(constraint.name)
    check = f"CHECK ({quoted(column.name)} IN ({allowed}))"
    return (
        f"ALTER TABLE {table} DROP CONSTRAINT {name}, ADD CONSTRAINT {name} {check} NOT VALID",
        f"ALTER TABLE {table} VALIDATE CONSTRAINT {name}",
    )


def _alike(value: str, known: tuple[str, ...]) -> tuple[str, ...]:
    """Labels that the value may only be another spelling of."""

    def bare(text: str) -> str:
        return "".join(c for c in text.casefold() if c.isalnum())

    near = [label for label in known if bare(label) == bare(value)]
    return (f"it may be only another spelling of `{near[0]}`: then write that instead",) if near else ()


def allow_nulls(cause: Cause, relation: Relation) -> list[Remedy]:
    """For each required column that a write left out, or sent an empty text for."""
    parts = [*cause.of(Kind.MISSING_VALUE), *(p for p in cause.of(Kind.INVALID_VALUE) if _empty(p, cause))]
    return [r for part in parts if (r := _nullable(part, relation)) is not None]


def _empty(part: Part, cause: Cause) -> bool:
    return any(row.get(part.column) == "" for row in cause.own)


def _nullable(part: Part, relation: Relation) -> Remedy | None:
    column = relation.column(part.column)
    if column is None or column.nullable or column.identity or column.name in relation.primary_key or relation.kind not in "rp":
        return None
    missing = part.kind is Kind.MISSING_VALUE
    against = ["whoever reads it will meet nulls, and the database no longer asks for it"]
    if not missing:
        against.append("the empty text itself is not mended by it: a rule that stores null instead is needed, too")
    return Remedy(
        "drop_not_null",
        (part.signature,) if missing else (),
        (f"ALTER TABLE {named(relation)} ALTER COLUMN {quoted(column.name)} DROP NOT NULL",),
        f"let `{relation.name}.{column.name}` be null",
        slug("drop_not_null_of", column.name, "in", relation.name),
        ("the rows that wait have nothing to put there",),
        tuple(against),
        ({"name": column.name, "type": column.type, "nullable": True, "default": column.default},),
    )
