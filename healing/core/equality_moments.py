"""When a stored date, time or interval is another spelling of the meant one."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from healing.core import moments
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


_UNITS: Final = {
    "microsecond": (0, 0, 1), "us": (0, 0, 1), "usec": (0, 0, 1), "millisecond": (0, 0, 1000), "ms": (0, 0, 1000), "msec": (0, 0, 1000),
    "second": (0, 0, 1_000_000), "sec": (0, 0, 1_000_000), "s": (0, 0, 1_000_000), "": (0, 0, 1_000_000),
    "minute": (0, 0, 60_000_000), "min": (0, 0, 60_000_000), "m": (0, 0, 60_000_000),
    "hour": (0, 0, 3_600_000_000), "hr": (0, 0, 3_600_000_000), "h": (0, 0, 3_600_000_000),
    "day": (0, 1, 0), "d": (0, 1, 0), "week": (0, 7, 0), "w": (0, 7, 0),
    "month": (1, 0, 0), "mon": (1, 0, 0), "year": (12, 0, 0), "yr": (12, 0, 0), "y": (12, 0, 0),
    "decade": (120, 0, 0), "century": (1200, 0, 0), "centurie": (1200, 0, 0),
}  # fmt: skip
_PART = re.compile(r"([+-]?)(\d+):(\d{1,2})(?::(\d{1,2}(?:\.\d+)?))?|([+-]?(?:\d+\.?\d*|\.\d+))\s*([a-z]*)", re.ASCII)
_ISO_PART = re.compile(r"([+-]?(?:\d+\.?\d*|\.\d+))([YMWDHS])", re.ASCII)
_ISO = re.compile(r"P((?:[+-]?[\d.]+[YMWD])*)(?:T((?:[+-]?[\d.]+[HMS])+))?", re.ASCII)


def interval(text: str) -> tuple[Decimal, Decimal, Decimal] | None:
    """Months, days and microseconds of an interval, in Postgres' own or the ISO format; None where it is not certain."""
    text = text.strip()
    match = _ISO.fullmatch(text)
    if match is not None:
        return _iso_interval(match[1] or "", match[2] or "")
    text = text.lower().removeprefix("@").strip()
    ago = text.endswith(" ago")
    found = _parts(text.removesuffix(" ago").strip())
    return None if found is None else (-found[0], -found[1], -found[2]) if ago else found


def _iso_interval(days: str, times: str) -> tuple[Decimal, Decimal, Decimal] | None:
    if not days and not times:
        return None
    units = [(n, u.lower().replace("m", "mon")) for n, u in _ISO_PART.findall(days)] + [(n, u.lower()) for n, u in _ISO_PART.findall(times)]
    return _sum([(Decimal(n), _UNITS[u]) for n, u in units])


def _parts(text: str) -> tuple[Decimal, Decimal, Decimal] | None:
    terms: list[tuple[Decimal, tuple[int, int, int]]] = []
    position = 0
    while position < len(text):
        match = _PART.match(text, position)
        if match is None:
            return None
        if match[2] is not None:
            micros = (int(match[2]) * 3600 + int(match[3]) * 60 + Decimal(match[4] or 0)) * 1_000_000
            terms.append((-micros if match[1] == "-" else micros, (0, 0, 1)))
        else:
            unit = _UNITS.get(match[6]) or _UNITS.get(match[6].removesuffix("s"))
            if unit is None:
                return None
            terms.append((Decimal(match[5]), unit))
        position = match.end() + len(text[match.end() :]) - len(text[match.end() :].lstrip())
    return _sum(terms) if terms else None


def _sum(terms: list[tuple[Decimal, tuple[int, int, int]]]) -> tuple[Decimal, Decimal, Decimal] | None:
    """None where a fraction of a day or more would have to become smaller units."""
    months, days, micros = (sum((n * unit[i] for n, unit in terms), Decimal(0)) for i in range(3))
    whole = months == months.to_integral_value() and days == days.to_integral_value() and micros == micros.to_integral_value()
    return (months, days, micros) if whole else None


def _interval(meant: Json, stored: Json) -> bool:
    a, b = _pair(meant, stored)
    if a.lower() == b.lower():
        return True
    left = interval(a)
    return left is not None and left == interval(b)


def _next_day(text: str) -> str:
    year, month, day = (int(part) for part in text.strip().split("-"))
    return (date(year, month, day) + timedelta(days=1)).isoformat()


def _date_range(meant: Json, stored: Json) -> bool:
    try:
        return same_range(meant, stored, _date, _next_day)
    except (ValueError, OverflowError):
        return False


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
