"""What Postgres would surely refuse, told before the statement by the type of the column. Unsure is None: Postgres decides.

``refusals`` prepares one check a column, so that a write costs one look-up and one call a key.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from functools import partial
from typing import Final

from healing.core import arrays, moments
from healing.core import labels as label_lists
from healing.core.types import Json, Kind, Misfit, Row
from healing.core.values import as_text
from schema_monitor.core.snapshot import Column, Relation

Refusal = Callable[[Json], Misfit | None]
Reason = Callable[[Json], Kind | None]
"""why a non-null value of the type is refused."""

INTEGERS: Final = {"int2": 2**15, "int4": 2**31, "int8": 2**63}
MOMENTS: Final = frozenset({"date", "timestamp", "timestamptz", "time", "timetz"})

_INTEGER = re.compile(r"\s*[+-]?(?:\d(?:_?\d)*|0x(?:_?[0-9a-f])+|0o(?:_?[0-7])+|0b(?:_?[01])+)\s*", re.ASCII | re.IGNORECASE)
_NUMERIC = re.compile(
    r"\s*[+-]?(?:(?:\d(?:_?\d)*\.?(?:\d(?:_?\d)*)?|\.\d(?:_?\d)*)(?:e[+-]?\d(?:_?\d)*)?|0x(?:_?[0-9a-f])+|0o(?:_?[0-7])+|0b(?:_?[01])+|nan|inf(?:inity)?)\s*",
    re.ASCII | re.IGNORECASE,
)
_UUID = re.compile(r"(\{)?(?:[0-9a-f]{4}-?){7}[0-9a-f]{4}(?(1)\})", re.ASCII | re.IGNORECASE)
_BOOLEANS: Final = frozenset(
    word[:n]
    for word, least in (("true", 1), ("false", 1), ("yes", 1), ("no", 1), ("on", 2), ("off", 2), ("1", 1), ("0", 1))
    for n in range(least, len(word) + 1)
)
_SPECIAL: Final = moments.CLOCK_WORDS | moments.FIXED_WORDS
_SPACE: Final = " \t\n\r\f\v"


def rejects(value: Json, column: Column, labels: tuple[str, ...] | None) -> Misfit | None:
    """Why Postgres would surely refuse the value for the column, or None. ``labels``: see ``labels.of``."""
    return refusal(column, labels)(value)


def refusals(relation: Relation, labels: Mapping[str, tuple[str, ...]]) -> dict[str, Refusal]:
    """One check a column, by name. Before-triggers may still change a row, so nulls and check lists are left to Postgres then."""
    if not relation.has_before_triggers:
        return {c.name: refusal(c, labels.get(c.name)) for c in relation.columns}
    return {c.name: refusal(c, labels.get(c.name) if c.enum is not None else None, null_is_refused=False) for c in relation.columns}


def misfits(row: Row, prepared: Mapping[str, Refusal]) -> tuple[Misfit, ...]:
    """Everything in the row that Postgres would surely refuse. Unknown keys are not judged here."""
    return tuple(found for name, value in row.items() if (check := prepared.get(name)) is not None and (found := check(value)) is not None)


def refusal(column: Column, labels: tuple[str, ...] | None, *, null_is_refused: bool = True) -> Refusal:
    """The check of one column."""
    if column.generated or column.identity == "a":
        return lambda value: Misfit(Kind.GENERATED, column.name, value, column.type)
    null = Misfit(Kind.MISSING_VALUE, column.name, None, column.type) if null_is_refused and not column.nullable else None
    reason = _of_array(_reason(column, labels)) if column.array else _reason(column, labels)

    def check(value: Json) -> Misfit | None:
        if value is None:
            return null
        kind = reason(value)
        if kind is None:
            return None
        expected = " | ".join(labels) if kind is Kind.UNKNOWN_LABEL and labels else column.type
        return Misfit(kind, column.name, value, expected)

    return check


def _reason(column: Column, labels: tuple[str, ...] | None) -> Reason:
    """The check of one non-null scalar."""
    base = column.base
    if labels is not None and (column.enum is not None or base in label_lists.TEXTS):
        return partial(_label, frozenset(labels))
    if base in INTEGERS:
        return partial(_integer, INTEGERS[base])
    if base == "numeric":
        limit = column.precision - (column.scale or 0) if column.precision is not None else None
        return partial(_numeric, limit)
    if base in MOMENTS:
        return partial(_moment, base)
    if base in label_lists.TEXTS:
        return partial(_text, column.length)
    return _REASONS.get(base, _anything)


def _anything(value: Json) -> Kind | None:
    return None


def _label(labels: frozenset[str], value: Json) -> Kind | None:
    return None if as_text(value) in labels else Kind.UNKNOWN_LABEL


def _integer(limit: int, value: Json) -> Kind | None:
    if type(value) is int:
        return None if -limit <= value < limit else Kind.OUT_OF_RANGE
    if isinstance(value, Decimal):
        if value.as_tuple().exponent == 0:
            return None if -limit <= value < limit else Kind.OUT_OF_RANGE
        whole = value.is_finite() and value.adjusted() < 40 and value == value.to_integral_value()
        return Kind.INVALID_VALUE if not whole or -limit <= value < limit else Kind.OUT_OF_RANGE
    if not isinstance(value, str) or not _INTEGER.fullmatch(value):
        return Kind.INVALID_VALUE
    text = value.strip(_SPACE).replace("_", "")
    if len(text) < 5:
        return None
    prefixed = text.lstrip("+-")[:2].lower() in ("0x", "0o", "0b")
    if len(text) > 70:
        return None
    return None if -limit <= int(text, 0 if prefixed else 10) < limit else Kind.OUT_OF_RANGE


def _numeric(integer_digits: int | None, value: Json) -> Kind | None:
    if type(value) is int:
        found = Decimal(value) if integer_digits is not None else None
    elif isinstance(value, Decimal):
        found = value
    elif isinstance(value, str):
        if not _NUMERIC.fullmatch(value):
            return Kind.INVALID_VALUE
        found = None if "x" in value or integer_digits is None else _decimal(value)
    else:
        return Kind.INVALID_VALUE
    if integer_digits is None or found is None or not found or found.is_nan():
        return None
    return Kind.OUT_OF_RANGE if found.is_infinite() or found.adjusted() >= integer_digits else None


def _decimal(text: str) -> Decimal | None:
    bare = text.strip(_SPACE)
    return None if bare.lstrip("+-")[:2].lower() in ("0x", "0o", "0b") else Decimal(bare)


def _float(value: Json) -> Kind | None:
    if isinstance(value, str):
        fits = "x" in value.lower() or (_NUMERIC.fullmatch(value) and "_" not in value)
        return None if fits else Kind.INVALID_VALUE
    return Kind.INVALID_VALUE if isinstance(value, (bool, list, dict)) else None


def _boolean(value: Json) -> Kind | None:
    if isinstance(value, bool):
        return None
    if type(value) is int:
        return None if value in (0, 1) else Kind.INVALID_VALUE
    fits = isinstance(value, str) and value.strip(_SPACE).lower() in _BOOLEANS
    return None if fits else Kind.INVALID_VALUE


def _text(length: int | None, value: Json) -> Kind | None:
    text = value if isinstance(value, str) else as_text(value)
    if "\0" in text:
        return Kind.UNTRANSLATABLE
    return Kind.TOO_LONG if length is not None and len(text) > length and text[length:].strip(" ") else None


def _uuid(value: Json) -> Kind | None:
    return None if isinstance(value, str) and _UUID.fullmatch(value) else Kind.INVALID_VALUE


def _jsonb(value: Json) -> Kind | None:
    return Kind.UNTRANSLATABLE if isinstance(value, str) and "\0" in value else None


def _moment(base: str, value: Json) -> Kind | None:
    """Postgres skips punctuation, so it may even read a date in the text of a JSON list: that is the guard's to tell."""
    if type(value) is int:
        return None if base in ("time", "timetz") or _may_be_date(value) else Kind.INVALID_VALUE
    if isinstance(value, bool):
        return Kind.INVALID_VALUE
    if not isinstance(value, str):
        return None
    word = value.strip(_SPACE).lower()
    if any("0" <= c <= "9" for c in word) or any(special in word for special in _SPECIAL):
        return None
    return Kind.INVALID_VALUE


def _may_be_date(value: int) -> bool:
    """Postgres reads a run of digits as year, month, day; an epoch is refused unless its last four happen to be a month and a day."""
    digits = str(abs(value))
    return len(digits) < 9 or (len(digits) < 14 and 1 <= int(digits[-4:-2]) <= 12 and 1 <= int(digits[-2:]) <= 31)


def _interval(value: Json) -> Kind | None:
    if isinstance(value, str):
        return None if value.strip(_SPACE) else Kind.INVALID_VALUE
    return Kind.INVALID_VALUE if isinstance(value, bool) else None


def _address(value: Json) -> Kind | None:
    refused = isinstance(value, (bool, list, dict)) or (isinstance(value, str) and not value.strip(_SPACE))
    return Kind.INVALID_VALUE if refused else None


_REASONS: Final[dict[str, Reason]] = {
    "float4": _float,
    "float8": _float,
    "bool": _boolean,
    "uuid": _uuid,
    "jsonb": _jsonb,
    "interval": _interval,
    "inet": _address,
    "cidr": _address,
}


def _of_array(element: Reason) -> Reason:
    """The check of an array: a JSON list or an array literal, each element that is not null by the element's check."""

    def reason(value: Json) -> Kind | None:
        if isinstance(value, str):
            if value.lstrip(_SPACE)[:1] == "{":
                found = arrays.parse(value) if len(value) <= arrays.LONGEST else None
                return None if found is None else first(found, 1)
            return None if _DIMENSIONS.match(value) else Kind.INVALID_VALUE
        return first(value, 1) if isinstance(value, list) else Kind.INVALID_VALUE

    def first(values: list[Json], dimensions: int) -> Kind | None:
        if dimensions > arrays.MOST_DIMENSIONS:
            return Kind.INVALID_VALUE
        for value in values:
            kind = None if value is None else first(value, dimensions + 1) if isinstance(value, list) else element(value)
            if kind is not None:
                return kind
        return None

    return reason


_DIMENSIONS = re.compile(r"\s*(?:\[[+-]?\d+(?::[+-]?\d+)?\]\s*)+=", re.ASCII)
