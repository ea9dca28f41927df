"""What type values are, by themselves: the narrowest that all of them look like."""

from __future__ import annotations

from datetime import date

from healing.core import moments
from healing.core.match.values import shape
from healing.core.types import Json

EMPTY_LISTS = "[]"
"""The type of lists without anything in them: the name must tell."""
_MOMENTS = frozenset({"timestamp with time zone", "timestamp without time zone"})


def type_of(sent: list[Json]) -> str:
    """The narrowest type; empty where the values have none in common."""
    if all(isinstance(value, list) for value in sent):
        return _of_lists([item for value in sent for item in value])
    kinds = {_kind(value) for value in sent}
    if len(kinds) == 1:
        (kind,) = kinds
        return _whole_number(sent) if kind == "integer" else kind
    if kinds <= {"integer", "numeric"}:
        return "numeric"
    if kinds <= {"date", "timestamp with time zone", "timestamp without time zone"}:
        return "timestamp with time zone"
    if kinds <= {"integer", "numeric", "boolean", "text", "uuid", "date", "time without time zone"} | _MOMENTS:
        return "text"
    return ""


def _kind(value: Json) -> str:
    match shape(value):
        case "bool":
            return "boolean"
        case "int":
            return "integer"
        case "decimal":
            return "numeric"
        case "uuid":
            return "uuid"
        case "moment" | "date" | "time":
            return _moment(value)
        case "object" | "array":
            return "jsonb"
    return "text"


def _moment(text: str) -> str:
    found = moments.parse(text)
    if found is None or is_no_day(text):
        return "text"
    if found.date is None:
        return "time without time zone" if found.offset is None else "text"
    if found.clock is None:
        return "date"
    return "timestamp without time zone" if found.offset is None else "timestamp with time zone"


def _whole_number(values: list[Json]) -> str:
    most = max(abs(int(value)) for value in values)
    return "integer" if most < 2**31 else "bigint" if most < 2**63 else "numeric"


def _of_lists(items: list[Json]) -> str:
    """Lists of one kind are arrays; what else is in lists is jsonb. Empty ones leave it to the name."""
    if not items:
        return EMPTY_LISTS
    if any(isinstance(item, dict | list) or item is None for item in items):
        return "jsonb"
    kind = type_of(items)
    return f"{kind}[]" if kind in ("text", "uuid", "integer", "bigint", "numeric", "boolean") else "text[]"


def is_no_day(value: Json) -> bool:
    """A text that reads as a date which no calendar has."""
    found = moments.parse(value) if isinstance(value, str) else None
    try:
        return found is not None and found.date is not None and not date(*found.date)
    except ValueError:
        return True
