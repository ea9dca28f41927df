"""Losses of dates, times and intervals: offsets and times dropped, fractions rounded, texts that settings or the clock decide."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime
from functools import partial
from typing import Final

from healing.core import intervals, moments
from healing.core.losses import UNKNOWN, Loss, Lost
from healing.core.moments import Moment
from healing.core.types import Json
from healing.core.values import as_text, shown
from schema_monitor.core.snapshot import Column

_RANGE = re.compile(r'[\[(]\s*("(?:[^"\\]|\\.)*"|[^,"]*)\s*,\s*("(?:[^"\\]|\\.)*"|[^\])"]*)\s*[\])]')


def _certain(text: str) -> Moment | Lost | None:
    """The moment that a text surely is, else what is unsure about it; None for fixed words and for what is no date at all."""
    found = moments.parse(text)
    if found is not None:
        return found
    word = text.strip().lower()
    if word in moments.FIXED_WORDS:
        return None
    special = next((w for w in moments.CLOCK_WORDS if w in word), None)
    if special is not None:
        return Lost(shown(text), UNKNOWN, f"{special!r} is the time of the write")
    if not any("0" <= c <= "9" for c in word) and not any(w in word for w in moments.FIXED_WORDS):
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
    found = _certain(as_text(value))
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
    return _uncertain(as_text(value))


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
    found = _certain(as_text(value))
    if not isinstance(found, Moment):
        return found
    clock = _clock(found, digits)
    if found.date is not None:
        return Lost(shown(value), clock, "the date is dropped")
    if found.shifted and not zoned:
        return Lost(shown(value), clock, "the time-zone offset is dropped")
    return (
        None
        if moments.exact(found, digits)
        else Lost(shown(value), clock + (_offset(found).removesuffix(":00") if zoned else ""), _rounding(digits))
    )


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
        bounds = (bound.strip('"') for pair in _RANGE.findall(as_text(value)) for bound in pair)
        return next((lost for bound in bounds if bound.strip() and (lost := bound_loss(bound)) is not None), None)

    return lambda column: loss


def _interval(column: Column) -> Loss:
    """Fractions of a day and more become other units, finer ones are rounded; fields that the type does not have are dropped."""
    fields = re.fullmatch(r"interval (?:\w+ to )?(year|month|day|hour|minute)", column.type.lower())
    step = 10 ** (6 - (6 if column.precision is None else column.precision))

    def loss(value: Json) -> Lost | None:
        text = as_text(value)
        if fields is not None:
            return Lost(shown(value), UNKNOWN, f"{column.type} drops smaller units")
        found = intervals.parse(text)
        if found is not None and found[2] % step == 0:
            return None
        if "infinity" in text.lower() and text.strip().lower().lstrip("+-") != "infinity":
            return Lost(shown(value), UNKNOWN, "no common spelling of an interval")
        if not any("0" <= c <= "9" for c in text):
            return None
        return Lost(
            shown(value),
            UNKNOWN,
            "a fraction is rounded or turned into other units" if _is_plain(text) else "no common spelling of an interval",
        )

    return loss


def _is_plain(text: str) -> bool:
    return not any(c in '[]{}()"' for c in text)


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
