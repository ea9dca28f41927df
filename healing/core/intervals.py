"""Intervals as Postgres keeps them: months, days and microseconds, each a whole number."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

_LONGEST: Final = 80
"""characters; longer is no interval that anybody writes, and digits stay within what Decimal computes exactly."""
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


def parse(text: str) -> tuple[Decimal, Decimal, Decimal] | None:
    """Months, days and microseconds of an interval, in Postgres' own or the ISO format; None where it is not certain."""
    text = text.strip()
    if len(text) > _LONGEST:
        return None
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
    position, bare = 0, False
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
            bare = bare or not match[6]
        position = match.end() + len(text[match.end() :]) - len(text[match.end() :].lstrip())
    if len(terms) > 1 and bare:  # "1 2:03" means a day, "5 6" nothing
        return None
    return _sum(terms) if terms else None


def _sum(terms: list[tuple[Decimal, tuple[int, int, int]]]) -> tuple[Decimal, Decimal, Decimal] | None:
    """None where a fraction of a day or more would have to become smaller units."""
    months, days, micros = (sum((n * unit[i] for n, unit in terms), Decimal(0)) for i in range(3))
    whole = months == months.to_integral_value() and days == days.to_integral_value() and micros == micros.to_integral_value()
    return (months, days, micros) if whole else None
