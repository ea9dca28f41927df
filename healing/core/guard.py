"""Silent loss: what Postgres would accept and store differently from what was sent (promise 2), told before the write.

``checks`` compiles one function a column, so that a write costs a look-up and at most one call a key. A column that is not in it
stores every value it accepts as it is. Only *representation* differs otherwise: ``"42"`` as 42, 1.10 as 1.1, another spelling of
the same instant, an upper-case uuid. Decisions a reader may ask about:

- ``Z`` into ``timestamp`` or ``time`` is no change (the wall clock is UTC's); any other offset is, because it is dropped.
- A text without offset into ``timestamptz`` means the session's zone; that is what the type says, and no change.
- ``char(n)`` pads: the stored text has spaces that were not sent, so it is a change.
- A date or time in a spelling that the server's settings, locale or clock decide is a change to ``UNKNOWN``.
- What Postgres will refuse is not judged here. Triggers are not seen here, nor are extension types (vectors are approximate).

The checks of dates and times are in ``guard_moments``, of numbers in ``guard_numbers``, of texts in ``guard_texts``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Final

from healing.core import arrays, guard_moments, guard_numbers, guard_texts
from healing.core.arrays import MOST_DIMENSIONS
from healing.core.losses import UNKNOWN, Loss, Lost
from healing.core.types import Change, Json, Row
from healing.core.values import shown
from schema_monitor.core.snapshot import Column, Relation

__all__ = ["UNKNOWN", "Check", "checks", "losses"]

Check = Callable[[Json], Change | None]

_BUILDERS: Final[dict[str, Callable[[Column], Loss | None]]] = {
    **guard_numbers.BUILDERS,
    **guard_moments.BUILDERS,
    **guard_texts.BUILDERS,
}

_SAFE: Final = frozenset(
    {"int2", "int4", "int8", "bool", "uuid", "json", "jsonb", "inet", "bit", "varbit", "pg_lsn"}
    | {"int4range", "int8range", "numrange", "int4multirange", "int8multirange", "nummultirange", "tsquery", "jsonpath", "xml"}
    | {"xid", "xid8", "cid", "tid", "regclass", "regtype", "regproc", "regrole", "regnamespace", "hstore"}
)
"""bases that store what they accept, or hold only what they accept exactly."""


def checks(relation: Relation) -> dict[str, Check | None]:
    """One check a column that may lose something, by name; a column that is missing here is safe with every value."""
    found: dict[str, Check | None] = {}
    for column in relation.columns:
        loss = _loss(column)
        if loss is not None:
            found[column.name] = _named(column.name, _in_lists(loss) if column.array else loss)
    return found


def losses(row: Row, prepared: Mapping[str, Check | None]) -> tuple[Change, ...]:
    """Everything in the row that would be stored differently."""
    found: list[Change] = []
    for name, value in row.items():
        check = prepared.get(name)
        if check is not None and value is not None and (change := check(value)) is not None:
            found.append(change)
    return tuple(found)


def _loss(column: Column) -> Loss | None:
    """What is lost of one scalar; None where nothing ever is."""
    builder = _BUILDERS.get(column.base)
    if builder is not None:
        return builder(column)
    return None if column.base in _SAFE or column.enum is not None else partial(_foreign, column.type)


def _foreign(type_name: str, value: Json) -> Lost | None:
    """A row of a composite type, as an object or as a literal: keys that the type does not have would be dropped, and what its columns
    round or cut is not known here."""
    if isinstance(value, dict):
        return Lost(shown(value), UNKNOWN, f"keys that {type_name} does not have are dropped")
    if isinstance(value, str) and value.startswith("(") and value.endswith(")"):
        return Lost(shown(value), UNKNOWN, f"what the columns of {type_name} round or cut is not known")
    return None


def _named(name: str, loss: Loss) -> Check:
    def check(value: Json) -> Change | None:
        lost = loss(value)
        return None if lost is None else Change(name, lost.sent, lost.stored, lost.why)

    return check


def _in_lists(loss: Loss) -> Loss:
    """The loss of array elements, in a JSON list or an array literal; the first element that loses something is told."""

    def walk(values: list[Json], dimensions: int) -> Lost | None:
        for value in values:
            if isinstance(value, list):
                lost = walk(value, dimensions + 1) if dimensions < MOST_DIMENSIONS else None
            else:
                lost = None if value is None else loss(value)
            if lost is not None:
                return lost
        return None

    def check(value: Json) -> Lost | None:
        if isinstance(value, str):
            if len(value) > arrays.LONGEST:
                return Lost(shown(value), UNKNOWN, "an array literal this long is not looked at")
            value = arrays.parse(value)
        return walk(value, 1) if isinstance(value, list) else None

    return check
