"""A wider type for a column whose values do not fit: more digits, longer texts, or another type that takes both old and new."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from msgspec.structs import replace

from healing.core.ddl.cause import Cause, Part
from healing.core.ddl.column_type import BASES, column, column_type, takes
from healing.core.ddl.naming import slug
from healing.core.ddl.remedy import Remedy
from healing.core.types import Json, Kind
from schema_monitor.core.piece import named, quoted
from schema_monitor.core.snapshot import Column, Relation, Snapshot

_MOST_DIGITS = 1000
_INTEGERS = ("smallint", "integer", "bigint", "numeric")
_REWRITES = "the whole table is written anew, and locked while that lasts"


def widen(cause: Cause, relation: Relation, snapshot: Snapshot) -> list[Remedy]:
    """For each value that is out of range, too long, or no value of the type at all."""
    if relation.kind not in "rp":
        return []
    parts = cause.of(Kind.OUT_OF_RANGE, Kind.TOO_LONG, Kind.INVALID_VALUE)
    return [r for part in parts if (r := _widen(part, cause, relation, snapshot)) is not None]


def _widen(part: Part, cause: Cause, relation: Relation, snapshot: Snapshot) -> Remedy | None:
    old = relation.column(part.column)
    if old is None or old.generated or old.identity or old.domain is not None or _is_linked(old, relation, snapshot):
        return None
    values = [value for value in cause.values(old.name) if value is not None]
    if part.kind is Kind.INVALID_VALUE:
        return _other(part, old, values, relation, snapshot)
    new = wider(old, values)
    return None if new is None else _remedy("widen_type", part, old, new, relation, _cost(old, new))


def _is_linked(old: Column, relation: Relation, snapshot: Snapshot) -> bool:
    """Whether a foreign key ties the type to another column's."""
    here = any(c.kind == "f" and old.attnum in c.columns for c in relation.constraints)
    others = (c for r in snapshot.relations.values() for c in r.constraints)
    return here or any(c.references == relation.oid and old.attnum in c.referenced_columns for c in others)


def wider(old: Column, values: list[Json]) -> str | None:
    """The narrowest type above the column's own that takes all of these values; None where there is none."""
    for kind in _above(old, values):
        if takes(_as(old, kind), values):
            return kind
    return None


def _above(old: Column, values: list[Json]) -> Iterable[str]:
    if old.array:
        return ()
    if old.base in ("int2", "int4", "int8"):
        return _INTEGERS[("int2", "int4", "int8").index(old.base) + 1 :]
    if old.base == "numeric" and old.precision is not None:
        return _more_digits(old, values)
    if old.base == "float4":
        return ("double precision", "numeric")
    return ("text",) if old.base in ("varchar", "bpchar") else ()


def _more_digits(old: Column, values: list[Json]) -> Iterable[str]:
    scale = max([old.scale or 0, *(places for _, places in map(_digits, values))])
    whole = max([(old.precision or 0) - (old.scale or 0), *(front for front, _ in map(_digits, values))])
    return (f"numeric({whole + scale},{scale})", "numeric") if whole + scale <= _MOST_DIGITS else ("numeric",)


def _digits(value: Json) -> tuple[int, int]:
    """Digits before and after the point."""
    try:
        number = Decimal(str(value)).normalize()
    except ArithmeticError:
        return 0, 0
    if not number.is_finite():
        return 0, 0
    exponent = int(number.as_tuple().exponent)
    return max(0, number.adjusted() + 1), max(0, -exponent)


def _as(old: Column, kind: str) -> Column:
    if kind.startswith("numeric("):
        precision, scale = kind[8:-1].split(",")
        return replace(old, type=kind, base="numeric", precision=int(precision), scale=int(scale), nullable=True)
    return column(old.name, kind)


def _other(part: Part, old: Column, values: list[Json], relation: Relation, snapshot: Snapshot) -> Remedy | None:
    """Another type, where what is there can become it: mostly text."""
    told = [value for value in values if value != ""]
    if not told or old.array or old.enum is not None or takes(replace(old, nullable=True), told):
        return None
    wanted = column_type(old.name, told, relation, snapshot, relation.schema).type
    new = wanted if (old.base, BASES.get(wanted)) in _BECOMES else "jsonb" if wanted.endswith("[]") or wanted == "jsonb" else "text"
    if old.base == BASES.get(new) or not takes(column(old.name, new), told):
        return None
    using = f" USING to_jsonb({quoted(old.name)})" if new == "jsonb" else f" USING {quoted(old.name)}::{new}"
    against = (f"whoever reads `{old.name}` expects {old.type}; {_REWRITES}", "most such values are a mistake of the caller")
    return _remedy("change_type", part, old, new, relation, against, using)


_BECOMES = {("date", "timestamptz"), ("date", "timestamp"), ("int4", "numeric"), ("int8", "numeric"), ("int2", "numeric")}


def _remedy(kind: str, part: Part, old: Column, new: str, relation: Relation, against: tuple[str, ...], using: str = "") -> Remedy:
    return Remedy(
        kind,
        (part.signature,),
        (f"ALTER TABLE {named(relation)} ALTER COLUMN {quoted(old.name)} TYPE {new}{using}",),
        f"make `{relation.name}.{old.name}` {new} instead of {old.type}",
        slug("widen" if kind == "widen_type" else "change_type_of", old.name, "in", relation.name),
        (f"{new} takes every value that was sent for `{old.name}` since, and all that are there",),
        against,
        ({"name": old.name, "type": new, "nullable": old.nullable, "default": old.default},),
    )


def _cost(old: Column, new: str) -> tuple[str, ...]:
    """What the change costs: from varchar to text, and numeric with more digits but the same scale, Postgres rewrites nothing."""
    if new == "text" and old.base == "varchar":
        return ()
    if new == "numeric" or (new.startswith("numeric(") and new.endswith(f",{old.scale or 0})")):
        return () if old.base == "numeric" else (_REWRITES,)
    return (_REWRITES,)
