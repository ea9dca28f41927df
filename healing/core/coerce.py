"""Lossless coercion: a value that Postgres would refuse, spelled so that it takes exactly that value.

Only what has one meaning: ``1.0`` and ``"1e3"`` for integers, ``urn:uuid:…``, ISO 8601 that Postgres does not read, an enum label
or check-list text that differs by case from one label only, ``'["a"]'`` for an array. Never ``1.5``, ``"1,000"``, ``""``, an epoch,
``"a,b"``.

A JSON text in a json or jsonb column is left alone: a JSON string is a value of these types, so Postgres takes it as it is, and
reading it as an object would change it. The format ``json_text`` does it by an approved rule.
"""

from __future__ import annotations

from typing import Final

from msgspec import Struct

from healing.core import formats, moments
from healing.core import labels as label_lists
from healing.core.ops import Cast, Fix, MapValue
from healing.core.refusals import INTEGERS, misfits, refusal, refusals, rejects
from healing.core.types import Json, Kind
from schema_monitor.core.snapshot import Column

__all__ = ["Coerced", "coerce", "misfits", "refusals", "rejects"]

_FORMATS: Final = dict.fromkeys(INTEGERS, "whole_number") | {
    "bool": "boolean_number",
    "uuid": "uuid",
    "date": "iso",
    "timestamp": "iso",
    "timestamptz": "iso",
}


class Coerced(Struct, frozen=True):
    """The value as Postgres takes it, the name of the format (``label`` for a label), and the fix that says so."""

    value: Json
    format: str
    fix: Fix


def coerce(value: Json, column: Column, labels: tuple[str, ...] | None) -> Coerced | None:
    """A lossless reading of a value that Postgres would refuse for the column; None where there is none, or none is needed."""
    judge = refusal(column, labels)
    misfit = judge(value)
    if misfit is not None and misfit.kind in (Kind.GENERATED, Kind.MISSING_VALUE):
        return None
    if misfit is None and not _unread(value, column):
        return None
    found = _label(value, column, labels) if misfit is not None and misfit.kind is Kind.UNKNOWN_LABEL else _cast(value, column)
    return None if found is None or judge(found.value) is not None else found


def _unread(value: Json, column: Column) -> bool:
    """A date or timestamp that is not among the spellings which Postgres is known to read (``iso`` mends only what it refuses)."""
    values = value if isinstance(value, list) else [value]
    return _FORMATS.get(column.base) == "iso" and any(isinstance(v, str) and moments.parse(v) is None for v in values)


def _label(value: Json, column: Column, labels: tuple[str, ...] | None) -> Coerced | None:
    """Labels by unique case; in a list all that are none must have one."""
    if labels is None:
        return None
    if isinstance(value, list):
        mapped: Json = [label_lists.unique_match(v, labels) or v for v in value]
    else:
        mapped = label_lists.unique_match(value, labels)
    return None if mapped is None else Coerced(mapped, "label", MapValue(column.name, value, mapped))


def _cast(value: Json, column: Column) -> Coerced | None:
    """The exact format of the type; a text that spells a JSON list, for an array."""
    if column.array and isinstance(value, str):
        return _list_text(value, column)
    name = _FORMATS.get(column.base)
    if name is None or isinstance(value, list) != column.array:
        return None
    found = formats.read(name, value)
    if isinstance(found, formats.Unfit):
        return None
    return Coerced(found, name, Cast(column.name, column.type, name))


def _list_text(value: str, column: Column) -> Coerced | None:
    found = formats.read("json_text", value)
    return Coerced(found, "json_text", Cast(column.name, column.type, "json_text")) if isinstance(found, list) else None
