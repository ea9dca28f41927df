"""What a column would be for a key that has none: most keys without a column got one later, so every reviewer should see it."""

from __future__ import annotations

from collections.abc import Iterable

from healing.core.types import Json, Row

from .names import name_of
from .values import hinted, shape

_BY_SHAPE = {
    "bool": "boolean",
    "int": "bigint",
    "decimal": "numeric",
    "uuid": "uuid",
    "moment": "timestamp with time zone",
    "date": "date",
    "time": "time without time zone",
    "object": "jsonb",
    "array": "jsonb",
}
_BY_HINT = {"bool": "boolean", "moment": "timestamp with time zone", "json": "jsonb", "array": "jsonb", "uuid": "uuid"}
_WIDER = {frozenset(("bigint", "numeric")): "numeric", frozenset(("date", "timestamp with time zone")): "timestamp with time zone"}


def column_for(key: str, rows: Iterable[Row]) -> dict[str, Json]:
    """``{"name", "type", "nullable"}`` of the column that takes all these rows' values; null says nothing, then the name decides."""
    kinds = {_type(value) for row in rows if (value := row.get(key)) is not None}
    if not kinds:
        chosen = _BY_HINT.get(hinted(name_of(key).words), "text")
    elif len(kinds) == 1:
        chosen = kinds.pop()
    else:
        chosen = _WIDER.get(frozenset(kinds), "text" if kinds <= {"text", "uuid", "date", "timestamp with time zone"} else "jsonb")
    return {"name": key, "type": chosen, "nullable": True}


def _type(value: Json) -> str:
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return "text[]"
    return _BY_SHAPE.get(shape(value), "text")
