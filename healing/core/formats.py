"""How a ``cast`` reads a value: a closed table of named, pure functions.

Exact formats lose nothing, so the coercion may use them unasked; the others say what a person (or a validated proposal) decided.
A function returns ``UNFIT`` for a value that it cannot read; null is never touched, and neither is a value that already fits.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from typing import Final

from msgspec import Struct

from healing.core import moments
from healing.core.arrays import MOST_DIMENSIONS
from healing.core.typenames import plain
from healing.core.types import Json
from healing.core.values import json_text


class Unfit:
    """The value cannot be read in this format."""


UNFIT: Final = Unfit()

Reader = Callable[[Json], "Json | Unfit"]

_NUMBER = re.compile(r"\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,4})?\s*", re.ASCII)
_UUID = re.compile(r"(?:urn:uuid:)?(\{?[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}\}?)", re.ASCII | re.IGNORECASE)
_GROUPED = re.compile(r"\s*([+-]?\d{1,3}(?:,\d{3})+(?:\.\d+)?)\s*", re.ASCII)
_SLASHED = re.compile(r"\s*(\d{1,2})([/.-])(\d{1,2})\2(\d{4})\s*", re.ASCII)
_BRACKETED = re.compile(r"(.*)\[[A-Za-z0-9_+/-]+\]")
_EXTENDED_YEAR = re.compile(r"\s*\+0*(\d{4,6}-\d\d-\d\dT)", re.ASCII)
_ORDINARY = re.compile(r"(\s*\d{4}-\d{1,2}-\d{1,2}[Tt ]\d{1,2}:\d{2}:\d{2}),(\d+)", re.ASCII)
_HOUR_ONLY = re.compile(r"(\s*\d{4}-\d{2}-\d{2}[Tt ]\d{2})(Z|z|[+-]\d{2}(?::?\d{2})?)?\s*", re.ASCII)


def number(value: Json) -> Decimal | None:
    """The number that a JSON number or a plain decimal text is; None for booleans, other texts and NaN."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return Decimal(value)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        try:
            return Decimal(value.strip())
        except InvalidOperation:
            return None
    return value if isinstance(value, Decimal) and value.is_finite() else None


def _whole_number(value: Json) -> Json | Unfit:
    found = number(value)
    if found is None or found.adjusted() > 30 or found != found.to_integral_value():
        return UNFIT
    return int(found)


def _boolean_number(value: Json) -> Json | Unfit:
    found = number(value)
    return bool(found) if found is not None and found in (0, 1) else UNFIT


def _uuid(value: Json) -> Json | Unfit:
    match = _UUID.fullmatch(value.strip()) if isinstance(value, str) else None
    return match[1] if match else UNFIT


def _json_text(value: Json) -> Json | Unfit:
    """The object or array that a text spells; scalars stay what they are, and a duplicate key would lose a value."""
    if not isinstance(value, str) or value.lstrip()[:1] not in ("{", "["):
        return UNFIT
    try:
        found: Json = json.loads(value, parse_float=Decimal, parse_constant=_no_constant, object_pairs_hook=_unique_keys)
    except (ValueError, RecursionError):
        return UNFIT
    return found


def _no_constant(name: str) -> Json:
    raise ValueError(f"{name} is no JSON")


def _unique_keys(pairs: list[tuple[str, Json]]) -> Json:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("duplicate key")
    return found


def _iso(value: Json) -> Json | Unfit:
    """ISO 8601 that Postgres does not read: a decimal comma, an extended year, an hour alone, a bracketed zone name besides the offset."""
    if not isinstance(value, str):
        return UNFIT
    text = value.replace("\u2212", "-")
    if (bracketed := _BRACKETED.fullmatch(text)) is not None:
        text = bracketed[1]
        if (inner := moments.parse(text)) is None or inner.offset is None:
            return UNFIT
    text = _EXTENDED_YEAR.sub(r"\1", text, count=1)
    text = _ORDINARY.sub(r"\1.\2", text, count=1)
    if (hour := _HOUR_ONLY.fullmatch(text)) is not None:
        text = f"{hour[1]}:00{hour[2] or ''}"
    found = moments.parse(text)
    return UNFIT if found is None or found.date is None else moments.iso(found)


def _text(value: Json) -> Json | Unfit:
    if isinstance(value, str):
        return value
    return UNFIT if isinstance(value, (dict, list)) else json_text(value)


def _json_encode(value: Json) -> Json | Unfit:
    return json_text(value) if isinstance(value, (dict, list)) else value


def _empty_to_null(value: Json) -> Json | Unfit:
    return None if isinstance(value, str) and not value.strip() else value


def _epoch(unit: int) -> Reader:
    def read(value: Json) -> Json | Unfit:
        """Seconds since 1970, in parts of ``unit``, as an ISO text in UTC, to the microsecond."""
        found = number(value)
        if found is None or found.adjusted() > 20:
            return value if isinstance(value, str) and moments.parse(value) else UNFIT
        micros = found * 1_000_000 / unit
        if micros != micros.to_integral_value() or abs(micros) > 253_402_300_799_000_000:
            return UNFIT
        at = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=int(micros))
        return at.isoformat().replace("+00:00", "Z")

    return read


def _slashed(day: int, month: int) -> Reader:
    def read(value: Json) -> Json | Unfit:
        """``01/02/2024`` with the day and the month in the given groups, as an ISO date."""
        match = _SLASHED.fullmatch(value) if isinstance(value, str) else None
        if match is None:
            return value if isinstance(value, str) and moments.parse(value) else UNFIT
        try:
            return date(int(match[4]), int(match[month]), int(match[day])).isoformat()
        except ValueError:
            return UNFIT

    return read


def _grouped_number(value: Json) -> Json | Unfit:
    match = _GROUPED.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        return value if number(value) is not None else UNFIT
    found = Decimal(match[1].replace(",", ""))
    return int(found) if found == found.to_integral_value() else found


def _round(value: Json) -> Json | Unfit:
    found = number(value)
    return UNFIT if found is None or found.adjusted() > 30 else int(found.to_integral_value(ROUND_HALF_UP))


def _list_of_one(value: Json) -> Json | Unfit:
    return value if isinstance(value, list) else [value]


def _comma_list(value: Json) -> Json | Unfit:
    if not isinstance(value, str):
        return value if isinstance(value, list) else UNFIT
    return [part.strip() for part in value.split(",") if part.strip()]


def _trim(value: Json) -> Json | Unfit:
    return value.strip() if isinstance(value, str) else value


def _lower(value: Json) -> Json | Unfit:
    return value.lower() if isinstance(value, str) else value


def _utc(value: Json) -> Json | Unfit:
    """A timestamp with an offset as the wall clock of UTC, for ``timestamp`` columns."""
    found = moments.parse(value) if isinstance(value, str) else None
    if found is None or not moments.exact(found) or (wall := moments.rounded(found, 6)) is None:
        return UNFIT
    return (wall - timedelta(seconds=found.offset or 0)).replace(tzinfo=None).isoformat()


def _date_part(value: Json) -> Json | Unfit:
    found = moments.parse(value) if isinstance(value, str) else None
    return "{:04d}-{:02d}-{:02d}".format(*found.date) if found is not None and found.date is not None else UNFIT


class Format(Struct, frozen=True):
    """One way to read a value. ``whole`` formats make or take a list as a whole, the others go into lists element by element."""

    read: Reader
    says: str
    exact: bool = False
    whole: bool = False


FORMATS: Final[dict[str, Format]] = {
    "whole_number": Format(_whole_number, "a whole number written with a fraction or exponent, 1.0 = 1", exact=True),
    "boolean_number": Format(_boolean_number, "1.0 and 0.0 as true and false", exact=True),
    "uuid": Format(_uuid, "a uuid with spaces or urn:uuid: around it", exact=True),
    "iso": Format(_iso, "an ISO 8601 text, spelled as Postgres reads it", exact=True),
    "json_text": Format(_json_text, "the JSON that the text spells", exact=True, whole=True),
    "text": Format(_text, "the value as text", exact=True),
    "json_encode": Format(_json_encode, "the JSON text of the object", whole=True),
    "empty_to_null": Format(_empty_to_null, "an empty text as null"),
    "epoch_seconds": Format(_epoch(1), "seconds since 1970-01-01 UTC"),
    "epoch_milliseconds": Format(_epoch(1000), "milliseconds since 1970-01-01 UTC"),
    "day_first": Format(_slashed(1, 3), "day/month/year"),
    "month_first": Format(_slashed(3, 1), "month/day/year"),
    "grouped_number": Format(_grouped_number, "a number with commas between thousands"),
    "round": Format(_round, "rounded half up to a whole number"),
    "list_of_one": Format(_list_of_one, "a list of this one value", whole=True),
    "comma_list": Format(_comma_list, "a list of what is between the commas", whole=True),
    "trim": Format(_trim, "without spaces around it"),
    "lower": Format(_lower, "in lower case"),
    "utc": Format(_utc, "the wall clock of UTC"),
    "date_part": Format(_date_part, "the date without the time"),
}

_DEFAULTS: Final = {
    **dict.fromkeys(("smallint", "integer", "bigint"), "whole_number"),
    "boolean": "boolean_number",
    "uuid": "uuid",
    **dict.fromkeys(("timestamp without time zone", "timestamp with time zone", "date"), "iso"),
    **dict.fromkeys(("json", "jsonb"), "json_text"),
    **dict.fromkeys(("text", "character varying", "citext"), "text"),
}


def default(type_name: str) -> str | None:
    """The exact format for a type (or its elements) by its SQL name, where there is one."""
    return _DEFAULTS.get(plain(type_name).removesuffix("[]"))


def read(name: str, value: Json, dimensions: int = MOST_DIMENSIONS) -> Json | Unfit:
    """The value read in a format. Null stays null; a list is read element by element, all or nothing, unless the format takes it whole."""
    form = FORMATS[name]
    if value is None:
        return None
    if form.whole or not isinstance(value, list):
        return form.read(value)
    if not dimensions:
        return UNFIT
    found = [read(name, element, dimensions - 1) for element in value]
    return UNFIT if any(element is UNFIT for element in found) else found
