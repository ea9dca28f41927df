"""When a stored date, time or interval is another spelling of the meant one."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, timedelta
from typing import Final

from healing.core import intervals, moments
from healing.core.equality import same_range
from healing.core.moments import Moment
from healing.core.types import Json
from healing.core.values import as_text

Equal = Callable[[Json, Json], bool]

_WORDS: Final = {"epoch": "1970-01-01", "+infinity": "infinity", "allballs": "00:00:00"}
_ZERO: Final = (0, 0, 0)


def _pair(meant: Json, stored: Json) -> tuple[str, str]:
    """Both as texts, fixed words replaced by what they stand for."""
    a, b = as_text(meant).strip(), as_text(stored).strip()
    return _WORDS.get(a.lower(), a), b


def _date(meant: Json, stored: Json) -> bool:
    a, b = _pair(meant, stored)
    if a.lower() == b.lower():
        return True
    left, right = moments.parse(a), moments.parse(b)
    if left is None or right is None or left.date is None:
        return False
    return left.date == right.date and left.midnight and not left.shifted


def _timestamp(meant: Json, stored: Json) -> bool:
    """The same wall clock; an offset would have been dropped."""
    a, b = _pair(meant, stored)
    if a.lower() == b.lower():
        return True
    left, right = _at(a), _at(b)
    return left is not None and right is not None and not left[1] and left[0] == right[0]


def _timestamptz(meant: Json, stored: Json) -> bool:
    """The same instant; without an offset, the same wall clock as Postgres shows in the session's zone, which is how it was read."""
    a, b = _pair(meant, stored)
    if a.lower() == b.lower():
        return True
    left, right = _at(a), _at(b)
    if left is None or right is None:
        return False
    if left[1] is None and a != "1970-01-01":
        return left[0] == right[0]
    return left[0] - timedelta(seconds=left[1] or 0) == right[0] - timedelta(seconds=right[1] or 0)


def _at(text: str) -> tuple[datetime, int | None] | None:
    """The exact wall clock and offset of a text; None where it is no moment or finer than microseconds."""
    found = moments.parse(text)
    if found is None or found.date is None or not moments.exact(found):
        return None
    wall = moments.rounded(found, 6)
    return None if wall is None else (wall, found.offset)


def _time(meant: Json, stored: Json) -> bool:
    left, right = _clocks(meant, stored)
    return left is not None and right is not None and left.date is None and not left.shifted and _clock(left) == _clock(right)


def _timetz(meant: Json, stored: Json) -> bool:
    left, right = _clocks(meant, stored)
    if left is None or right is None or left.date is not None:
        return False
    return _clock(left) == _clock(right) and left.offset in (None, right.offset)


def _clocks(meant: Json, stored: Json) -> tuple[Moment | None, Moment | None]:
    a, b = _pair(meant, stored)
    return moments.parse(a), moments.parse(b)


def _clock(moment: Moment) -> tuple[tuple[int, int, int], str]:
    return moment.clock or _ZERO, moment.fraction


def _interval(meant: Json, stored: Json) -> bool:
    a, b = _pair(meant, stored)
    if a.lower() == b.lower():
        return True
    left = intervals.parse(a)
    return left is not None and left == intervals.parse(b)


def _next_day(text: str) -> str:
    year, month, day = (int(part) for part in text.strip().split("-"))
    return (date(year, month, day) + timedelta(days=1)).isoformat()


def _date_range(meant: Json, stored: Json) -> bool:
    try:
        return same_range(meant, stored, _date, _next_day)
    except (ValueError, OverflowError):  # infinity has no next day
        return same_range(meant, stored, _date)


def _timestamp_range(meant: Json, stored: Json) -> bool:
    return same_range(meant, stored, _timestamp)


def _timestamptz_range(meant: Json, stored: Json) -> bool:
    return same_range(meant, stored, _timestamptz)


EQUAL: Final[dict[str, Equal]] = {
    "date": _date,
    "timestamp": _timestamp,
    "timestamptz": _timestamptz,
    "time": _time,
    "timetz": _timetz,
    "interval": _interval,
    "daterange": _date_range,
    "tsrange": _timestamp_range,
    "tstzrange": _timestamptz_range,
}
