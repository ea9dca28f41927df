"""The hot path's question: does this payload surely need nothing from us? Answered by one dict look-up a value.

``Vet`` is compiled once per relation fingerprint. A row is *clean* when every key is the unambiguous name of a writable live
column, and every value has a JSON type that this column stores as it is (with a check of the value only where the type has
traps). Anything else takes the slow path (``mend``), which decides with care: not clean does not mean wrong.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal

from msgspec import Struct

from healing.core import guard, labels
from healing.core.types import Change, Json, Row
from schema_monitor.core.lineage import Lineage, Live
from schema_monitor.core.snapshot import Column, Relation, Snapshot

Check = Callable[[Json], Change | None]
Accepted = tuple[frozenset[type], Check | None]
"""What is fine for a column: exact Python types, and a check (None = any such value)."""

_NUMBERS = frozenset({int, Decimal})
_TEXT = frozenset({str})
_ANY = frozenset({str, int, Decimal, bool, list, dict, type(None)})
_TYPES: dict[str, frozenset[type]] = {
    "int2": frozenset({int}),
    "int4": frozenset({int}),
    "int8": frozenset({int}),
    "numeric": _NUMBERS,
    "float4": _NUMBERS,
    "float8": _NUMBERS,
    "bool": frozenset({bool}),
    "json": _ANY,
    "jsonb": _ANY,
}
_UNSAFE: frozenset[type] = frozenset()


class Vet(Struct, frozen=True):
    """What is fine without a second look, by live column name."""

    accepts: dict[str, Accepted]
    losses: dict[str, Check | None]
    """guard's checks of every column, for the slow path."""


def compile_vet(relation: Relation, snapshot: Snapshot, lineage: Lineage) -> Vet:
    """Compiles the vet of one relation."""
    losses = guard.checks(relation)
    accepts = {
        column.name: _accepted(column, relation, snapshot, losses.get(column.name))
        for column in relation.columns
        if isinstance(lineage.resolve_column(relation, column.name), Live)
    }
    return Vet(accepts, losses)


def clean(row: Row, accepts: Mapping[str, Accepted]) -> bool:
    """True when the row surely needs neither a heal nor a receipt. ``accepts``: a vet's, or the same under the keys as sent."""
    for key, value in row.items():
        entry = accepts.get(key)
        if entry is None or type(value) not in entry[0]:
            return False
        if entry[1] is not None and value is not None and entry[1](value) is not None:
            return False
    return True


def all_clean(rows: Sequence[Row], accepts: Mapping[str, Accepted]) -> bool:
    """``clean`` of rows that all have the same keys, column by column: many rows cost a few looks each."""
    if len(rows) == 1:
        return clean(rows[0], accepts)
    for key in rows[0]:
        entry = accepts.get(key)
        values = [row[key] for row in rows]
        if entry is None or not entry[0].issuperset(map(type, values)):
            return False
        check = entry[1]
        if check is not None and any([value is not None and check(value) is not None for value in values]):
            return False
    return True


def labels_of(column: Column, relation: Relation, snapshot: Snapshot) -> tuple[str, ...] | None:
    """The values a column is limited to, by its enum type or by check lists; None where it is free."""
    return labels.of(column, relation, snapshot.enums)


def enum_labels(column: Column, snapshot: Snapshot) -> tuple[str, ...] | None:
    """The labels of an enum column. Only these may be matched by case: a check list is text that somebody compares (23514 is
    kept, with the near label as a proposal)."""
    if column.enum is None or column.enum not in snapshot.enums:
        return None
    return tuple(label.name for label in snapshot.enums[column.enum].labels)


def _accepted(column: Column, relation: Relation, snapshot: Snapshot, loss: Check | None) -> Accepted:
    if column.generated or column.identity == "a":
        return _UNSAFE, None
    types = frozenset({list}) if column.array else _TYPES.get(column.base, _TEXT)
    if column.nullable:
        types |= {type(None)}
    allowed = None if column.array else labels_of(column, relation, snapshot)
    return types, (loss if allowed is None else _among(frozenset(allowed), column.name))


def _among(allowed: frozenset[str], name: str) -> Check:
    def check(value: Json) -> Change | None:
        return None if value in allowed else Change(name, str(value), "", "not an allowed value")

    return check
