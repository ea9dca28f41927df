"""Losses of dates, times and intervals: offsets and times dropped, fractions rounded, texts that settings or the clock decide."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Final

from healing.core import moments
from healing.core.losses import UNKNOWN, Loss, Lost
from healing.core.moments import Moment
from healing.core.types import Json
from healing.core.values import as_text, shown
from schema_monitor.core.snapshot import Column

_REGION = re.compile(r"(.*\d) [A-Za-z]+(?:/[A-Za-z_+-]+[0-9]*){1,2}", re.ASCII)
_RANGE = re.compile(r'[\[(]\s*("(?:[^"\\]|\\.)*"|[^,"]*)\s*,\s*("(?:[^"\\]|\\.)*"|[^\])"]*)\s*[\])]')


def _text(value: Json) -> str | None:
    """What Postgres reads: the text, or a number's digits; None for what it refuses."""
    return None if isinstance(value, (bool, list, dict)) else as_text(value)


def _certain(text: str) -> Moment | Lost | None:
    """The moment that a text surely is, else what is unsure about it; None for fixed words and for what is no date at all."""
    found = moments.parse(text)
    if found is not None:
        return found
    word = text.strip().lower()
    if any(word.startswith(w) for w in moments.CLOCK_WORDS):
        return Lost(shown(text), UNKNOWN, f"{word.split()[0]!r} is the time of the write")
    if word in moments.FIXED_WORDS or not any("0" <= c <= "9" for c in word):
        return None
    return Lost(shown(text), UNKNOWN, "not ISO 8601: the server's settings decide what it means")


def _timestamp(zoned: bool) -> Callable[[Column], Loss]:
    def build(column: Column) -> Loss:
        digits = 6 if column.precision is None else column.precision
        careful = partial(_timestamp_loss, zoned, digits)
        zone = r"(?:Z|[+-]\d\d:\d\d)?" if zoned else r"(?:Z|\+00:00)?"
        plain = re.compile(rf"\d{{4}}-\d\d-\d\d(?:[T ]\d\d:\d\d:[0-5]\d(?:\.\d{{0,{digits}}})?{zone})?", re.ASCII).fullmatch

        def loss(value: Json) -> Lost | None:
            return None if type(value) is str and plain(value) else careful(value)

        return loss

    return build


def _timestamp_loss(zoned: bool, digits: int, value: Json) -> Lost | None:
    text = _text(value)
    if text is None:
        return None
    if zoned and (region := _REGION.fullmatch(text)) is not None:
        text = region[1]
    found = _certain(text)
    if not isinstance(found, Moment) or found.date is None:
        return found if isinstance(found, Lost) else None
    if found.shifted and not zoned:
        return Lost(shown(value), _wall(found, digits), "the time-zone offset is dropped")
    if not moments.exact(found, digits):
        return Lost(shown(value), _wall(found, digits) + (_offset(found) if zoned else ""), _rounding(digits))
    return None


def _rounding(digits: int) -> str:
    return f"rounded to {digits} fractional digits of a second" if digits else "rounded to whole seconds"


def _wall(moment: Moment, digits: int) -> str:
    """The wall clock as stored."""
    at = moments.rounded(moment, digits)
    return UNKNOWN if at is None else _clean(at)


def _clean(at: datetime) -> str:
    text = at.replace(tzinfo=None).isoformat()
    return text.rstrip("0") if "." in text else text


def _offset(moment: Moment) -> str:
    if moment.offset is None:
        return ""
    sign, minutes = "-" if moment.offset < 0 else "+", abs(moment.offset) // 60
    return f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"


def _date(column: Column) -> Loss:
    return _date_loss


def _date_loss(value: Json) -> Lost | None:
    if type(value) is str and len(value) == 10 and value[4] == "-" == value[7]:
        return None if value.isascii() and value[:4].isdigit() else _uncertain(value)
    return None if (text := _text(value)) is None else _uncertain(text)


def _uncertain(text: str) -> Lost | None:
    """What a date column drops of a text: a time, an offset."""
    found = _certain(text)
    if not isinstance(found, Moment) or found.date is None:
        return found if isinstance(found, Lost) else None
    stored = "{:04d}-{:02d}-{:02d}".format(*found.date)
    if not found.midnight:
        return Lost(shown(text), stored, "the time is dropped")
    return Lost(shown(text), stored, "the time-zone offset is dropped") if found.shifted else None


def _time(zoned: bool) -> Callable[[Column], Loss]:
    return lambda column: partial(_time_loss, zoned, 6 if column.precision is None else column.precision)


def _time_loss(zoned: bool, digits: int, value: Json) -> Lost | None:
    text = _text(value)
    if text is None:
        return None
    found = _certain(text)
    if not isinstance(found, Moment):
        return found
    clock = _clock(found, digits)
    if found.date is not None:
        return Lost(shown(value), clock, "the date is dropped")
    if found.shifted and not zoned:
        return Lost(shown(value), clock, "the time-zone offset is dropped")
    return None if moments.exact(found, digits) else Lost(shown(value), clock + (_offset(found) if zoned else ""), _rounding(digits))


def _clock(moment: Moment, digits: int) -> str:
    """The time of day as stored; the end of the day is 24:00:00."""
    at = moments.rounded(Moment(None, moment.clock, moment.fraction), digits)
    if at is None:
        return UNKNOWN
    return "24:00:00" if at.date() != date(2000, 1, 1) else _clean(at).split("T")[1]


_BOUND_LOSSES: Final[dict[str, Loss]] = {
    "date": _date_loss,
    "ts": partial(_timestamp_loss, False, 6),
    "tstz": partial(_timestamp_loss, True, 6),
}


def _range(element: str) -> Callable[[Column], Loss]:
    """Ranges of dates and timestamps lose what their bounds lose."""
    bound_loss = _BOUND_LOSSES[element]

    def loss(value: Json) -> Lost | None:
        if not isinstance(value, str):
            return None
        bounds = (bound.strip('"') for pair in _RANGE.findall(value) for bound in pair)
        return next((lost for bound in bounds if bound.strip() and (lost := bound_loss(bound)) is not None), None)

    return lambda column: loss


_FRACTION = re.compile(r"\d*\.(\d+)\s*([a-z]*)", re.ASCII | re.IGNORECASE)
_DURATION = re.compile(r"[+-]?P[^-:]*", re.IGNORECASE)
_SECONDS: Final = frozenset({"", "s", "sec", "secs", "second", "seconds"})
_FINE: Final = {"m": 4, "min": 4, "mins": 4, "minute": 4, "minutes": 4, "h": 3, "hr": 3, "hrs": 3, "hour": 3, "hours": 3}
_FINER: Final = {"ms": 3, "msec": 3, "msecs": 3, "millisecond": 3, "milliseconds": 3}


def _interval(column: Column) -> Loss:
    """Fractions of days and more become other units; fields that the type does not have are dropped."""
    fields = re.fullmatch(r"interval (?:\w+ to )?(year|month|day|hour|minute)", column.type.lower())
    digits = 6 if column.precision is None else column.precision

    def loss(value: Json) -> Lost | None:
        text = _text(value)
        if text is None:
            return None
        if fields is not None:
            return Lost(shown(value), UNKNOWN, f"{column.type} drops smaller units")
        why = _interval_loss(text, digits)
        return None if why is None else Lost(shown(value), UNKNOWN, why)

    return loss


def _interval_loss(text: str, digits: int) -> str | None:
    time_part = _DURATION.fullmatch(text.strip()) is not None
    for match in _FRACTION.finditer(text):
        length, unit = len(match[1].rstrip("0")), match[2].lower()
        if time_part and "T" not in text[: match.start()].upper():
            unit = "day"
        keeps = digits if unit in _SECONDS else _FINE.get(unit, max(digits - 3, 0) if unit in _FINER else 0)
        if length > keeps:
            return _rounding(digits) if unit in _SECONDS else "a fraction of a unit is turned into smaller units"
    return None


BUILDERS: Final[dict[str, Callable[[Column], Loss | None]]] = {
    "date": _date,
    "time": _time(False),
    "timetz": _time(True),
    "timestamp": _timestamp(False),
    "timestamptz": _timestamp(True),
    "interval": _interval,
    "daterange": _range("date"),
    "datemultirange": _range("date"),
    "tsrange": _range("ts"),
    "tsmultirange": _range("ts"),
    "tstzrange": _range("tstz"),
    "tstzmultirange": _range("tstz"),
}
