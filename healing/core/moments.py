"""Dates and times that mean one thing only, whatever the server's DateStyle, time zone or clock.

``parse`` reads ISO 8601 as Postgres reads it (``2024-1-2``, ``20240102``, ``2024-01-02 10:00:00.5+05:30``, ``10:00Z``) and dates with the
month's name and a four-digit year (``Tue, 02 Jan 2024 10:00:00 GMT``). Everything else is None: unknown, ambiguous, or no date.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from msgspec import Struct

CLOCK_WORDS = frozenset({"now", "today", "tomorrow", "yesterday"})
"""Texts that Postgres replaces by the time of the statement."""
FIXED_WORDS = frozenset({"epoch", "infinity", "-infinity", "+infinity", "allballs"})
"""Texts that always mean the same."""

_TIME = r"(?P<hour>\d{1,2}):(?P<minute>\d{1,2})(?::(?P<second>\d{1,2})(?:\.(?P<fraction>\d*))?)?"
_BASIC_TIME = r"(?P<hour>\d{2})(?P<minute>\d{2})(?P<second>\d{2})(?:\.(?P<fraction>\d*))?"
_ZONE = r"(?: ?(?P<zone>Z|UTC|GMT|[+-]\d{1,2}(?::?\d{2}(?::\d{2})?)?))?"
_DATE = r"(?P<year>\d{4,6})(?P<sep>[-/])(?P<month>\d{1,2})(?P=sep)(?P<day>\d{1,2})"
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_NAME = r"(?:{})[a-z]*".format("|".join(_MONTHS))
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*,? +)?"


def _pattern(text: str) -> re.Pattern[str]:
    return re.compile(text, re.ASCII | re.IGNORECASE)


_PATTERNS = (
    _pattern(rf"{_DATE}(?:(?:T| +){_TIME})?{_ZONE}"),
    _pattern(rf"T?{_TIME}{_ZONE}"),
    _pattern(rf"(?P<year>\d{{4}})(?P<month>\d{{2}})(?P<day>\d{{2}})(?:[T ]{_BASIC_TIME}{_ZONE})?"),
    _pattern(rf"{_WEEKDAY}(?P<day>\d{{1,2}})[ -](?P<month>{_NAME})[ -](?P<year>\d{{4}})(?: +{_TIME}(?: (?P<zone>Z|UTC|GMT))?)?"),
    _pattern(rf"{_WEEKDAY}(?P<month>{_NAME}) (?P<day>\d{{1,2}}),? (?P<year>\d{{4}})(?: +{_TIME}(?: (?P<zone>Z|UTC|GMT))?)?"),
)


class Moment(Struct, frozen=True):
    """A date, a time, or both. ``date`` and ``clock`` are None where the text has none; ``offset`` in seconds east of UTC."""

    date: tuple[int, int, int] | None
    clock: tuple[int, int, int] | None
    fraction: str = ""
    """digits of the second's fraction, without trailing zeros."""
    offset: int | None = None

    @property
    def midnight(self) -> bool:
        """Nothing but the date is said: no time, or 00:00:00."""
        return not self.fraction and self.clock in (None, (0, 0, 0))

    @property
    def shifted(self) -> bool:
        """Whether the offset says another wall clock than UTC's."""
        return bool(self.offset)


def parse(text: str) -> Moment | None:
    """The one moment that the text means, or None where it is not certain."""
    text = text.strip(" \t\n\r\f\v")
    for pattern in _PATTERNS:
        if (match := pattern.fullmatch(text)) is not None:
            return _moment(match.groupdict())
    return None


def _moment(parts: dict[str, str | None]) -> Moment | None:
    """The moment of a match; None for a leap second, and for a bare date with an offset: Postgres changes both."""
    year, hour = parts.get("year"), parts.get("hour")
    date = (int(year), _month(parts["month"] or ""), int(parts["day"] or "")) if year else None
    clock = (int(hour), int(parts["minute"] or 0), int(parts["second"] or 0)) if hour else None
    offset = _offset(parts.get("zone"))
    if (clock is None and offset) or (clock is not None and clock[2] > 59):
        return None
    return Moment(date, clock, (parts.get("fraction") or "").rstrip("0"), offset)


def _month(text: str) -> int:
    return int(text) if text.isdigit() else _MONTHS.index(text[:3].lower()) + 1


def _offset(zone: str | None) -> int | None:
    """Seconds east of UTC; None where no zone is said. ``+5``, ``+0530``, ``+05:30:15`` as Postgres reads them."""
    if zone is None:
        return None
    if zone[0] not in "+-":
        return 0
    digits = zone[1:].split(":")
    if len(digits) == 1 and len(digits[0]) > 2:
        digits = [digits[0][:-2], digits[0][-2:]]
    hours, minutes, seconds = (int(d) for d in (*digits, "0", "0")[:3])
    total = hours * 3600 + minutes * 60 + seconds
    return -total if zone[0] == "-" else total


def microseconds(moment: Moment) -> int:
    """The second's fraction as Postgres first reads it: a double, rounded to whole microseconds."""
    return round(float(f"0.{moment.fraction}") * 1_000_000) if moment.fraction else 0


EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""Postgres counts from here, and rounds away from it."""


def rounded(moment: Moment, digits: int) -> datetime | None:
    """The wall clock as stored with that many fractional digits, in the moment's own offset (labelled UTC whatever that is);
    None beyond year 9999 or where it is no valid time. A time without a date is taken on 2000-01-01, as Postgres rounds it."""
    year, month, day = moment.date or (2000, 1, 1)
    hour, minute, second = moment.clock or (0, 0, 0)
    try:
        wall = datetime(year, month, day, tzinfo=UTC) + timedelta(
            hours=hour, minutes=minute, seconds=second, microseconds=microseconds(moment)
        )
    except (ValueError, OverflowError):
        return None
    shift = timedelta(seconds=moment.offset or 0)
    count = (wall - shift - EPOCH) // timedelta(microseconds=1)
    step: int = 10 ** (6 - digits)
    nearest = (abs(count) + step // 2) // step * step
    try:
        return EPOCH + timedelta(microseconds=nearest if count >= 0 else -nearest) + shift
    except OverflowError:
        return None


def exact(moment: Moment, digits: int = 6) -> bool:
    """Whether no fractional digit is lost when stored with that many."""
    return len(moment.fraction) <= digits


def iso(moment: Moment) -> str:
    """The moment as the ISO text that every Postgres reads the same."""
    parts = []
    if moment.date is not None:
        parts.append("{:04d}-{:02d}-{:02d}".format(*moment.date))
    if moment.clock is not None:
        parts.append("{:02d}:{:02d}:{:02d}".format(*moment.clock) + (f".{moment.fraction}" if moment.fraction else ""))
    return "T".join(parts) + _zone(moment.offset)


def _zone(offset: int | None) -> str:
    if not offset:
        return "" if offset is None else "Z"
    minutes, seconds = divmod(abs(offset), 60)
    text = f"{'-' if offset < 0 else '+'}{minutes // 60:02d}:{minutes % 60:02d}"
    return f"{text}:{seconds:02d}" if seconds else text
