"""What can be done with the rows without touching the schema, and what each way loses: put keys into a jsonb column, or leave them out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from healing.core import fixes
from healing.core.ddl.cause import Cause, Part, count
from healing.core.types import Json, Kind, Row
from schema_monitor.core.snapshot import Column, Relation

_CATCH_ALLS = (
    "metadata", "meta", "extra_data", "additional_data", "custom_fields", "extra", "attributes", "properties", "details", "data", "context",
    "payload",
)  # fmt: skip
_VALUES = (Kind.UNKNOWN_LABEL, Kind.INVALID_VALUE, Kind.OUT_OF_RANGE, Kind.TOO_LONG)


class Instead(Struct, frozen=True):
    """A fix of the fix language, what it loses, and how many of the cause's rows it fits. ``leaves`` it does not settle."""

    fix: tuple[dict[str, Json], ...]
    sentence: str
    loses: str
    fits: int
    rows: int
    leaves: tuple[str, ...] = ()


def instead_of(cause: Cause, relation: Relation | None) -> tuple[Instead, ...]:
    """``rescue`` first, then ``drop_key``; empty where neither is possible, and where it would be more than one fix can hold."""
    if relation is None:
        return ()
    unknown = [part.column for part in cause.of(Kind.UNKNOWN_COLUMN) if part.column and relation.column(part.column) is None]
    optional = [part for part in cause.of(*_VALUES) if _may_be_left_out(relation.column(part.column))]
    found = []
    into = catch_all(relation)
    if 0 < len(unknown) <= fixes.MOST_OPS and into is not None:
        found.append(_rescue(unknown, into, cause, relation))
    droppable = [*unknown, *dict.fromkeys(part.column for part in optional)]
    if 0 < len(droppable) <= fixes.MOST_OPS:
        found.append(_drop(droppable, cause, relation))
    return tuple(found)


def catch_all(relation: Relation) -> str | None:
    """The jsonb column that looks made for leftovers; the only one there is, where none does."""
    free = [c.name for c in relation.columns if c.base == "jsonb" and not c.array and not c.generated]
    for name in _CATCH_ALLS:
        for each in free:
            if each == name or each.endswith(f"_{name}"):
                return each
    return free[0] if len(free) == 1 else None


def _may_be_left_out(column: Column | None) -> bool:
    return column is not None and (column.nullable or column.default is not None) and not column.generated


def _rescue(keys: Sequence[str], into: str, cause: Cause, relation: Relation) -> Instead:
    ops = tuple({"op": "rescue", "column": key, "into": into} for key in keys)
    readers = ", ".join(f"`{into} ->> '{key}'`" for key in keys[:3])
    loses = f"No value is lost. But the database checks neither type nor presence, no index finds it, and readers must look for {readers}."
    return _instead(ops, f"Keep {_listed(keys)} inside the jsonb column `{into}`.", loses, keys, cause, relation)


def _drop(keys: Sequence[str], cause: Cause, relation: Relation) -> Instead:
    ops = tuple({"op": "drop_key", "column": key} for key in keys)
    lost, rows = sum(count([row.get(key) for row in cause.own]) for key in keys), len(cause.own)
    loses = f"{_number(lost, 'value')} in {_number(rows, 'waiting row')} would not be stored; only the receipts keep them."
    return _instead(ops, f"Leave {_listed(keys)} out.", loses, keys, cause, relation)


def _instead(ops: tuple[dict[str, Json], ...], sentence: str, loses: str, keys: Iterable[str], cause: Cause, relation: Relation) -> Instead:
    done = {*keys}
    parsed = fixes.parse(list(ops))
    fits = sum(_fits(parsed, row, relation) for row in cause.own)
    return Instead(ops, sentence, loses, fits, len(cause.own), tuple(p.signature for p in cause.parts if _open(p, done)))


def _open(part: Part, done: set[str]) -> bool:
    return part.column not in done or part.kind is Kind.MISSING_VALUE


def _fits(ops: tuple[fixes.Fix, ...], row: Row, relation: Relation) -> bool:
    return fixes.blocked(ops, row, relation) is None


def _listed(keys: Sequence[str]) -> str:
    return ", ".join(f"`{key}`" for key in keys)


def _number(n: int, thing: str) -> str:
    return f"{n} {thing}{'' if n == 1 else 's'}"
