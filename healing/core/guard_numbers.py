"""Losses of numbers: rounding to a scale or to a float, wrapping, money in the server's locale."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Final

from healing.core import floats, numerals
from healing.core.losses import UNKNOWN, Loss, Lost
from healing.core.types import Json
from healing.core.values import as_text, shown
from schema_monitor.core.snapshot import Column

_WIDE: Final = Context(prec=2200)
"""numeric(1000, 1000) fits."""
_MONEY = re.compile(r"\s*[-+]?\(?[-+]?\$?\s*(?:\d+|\d{1,3}(?:,\d{3})+)(?:\.(\d*))?\)?[-+]?\s*", re.ASCII)
_OCTAL = re.compile(r"\s*[+-]?0\d+\s*", re.ASCII)
_NUMBERS_IN_TEXT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def decimal(value: Json) -> Decimal | None:
    """The finite number of a JSON number or of a text that numeric takes; None else."""
    found = numerals.number(value)
    return found if found is not None and found.is_finite() else None


def _numeric(column: Column) -> Loss | None:
    """numeric(p, s) rounds half away from zero to s digits; numeric keeps all."""
    if column.precision is None:
        return None
    precision, scale = column.precision, column.scale or 0
    unit = Decimal(1).scaleb(-scale)

    def loss(value: Json) -> Lost | None:
        if type(value) is Decimal:
            try:
                if value.quantize(unit, ROUND_HALF_UP, _WIDE) == value:
                    return None
            except InvalidOperation:
                return None
        return _rounded(precision, scale, value)

    return loss


def _rounded(precision: int, scale: int, value: Json) -> Lost | None:
    if type(value) is int and scale >= 0:
        return None
    found = decimal(value)
    if found is None:
        return None
    exponent = found.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent <= scale or found.adjusted() > precision - scale:
        return None
    stored = _quantized(found, scale)
    if stored == found or (stored and stored.adjusted() >= precision - scale):
        return None
    text = format(stored.quantize(Decimal(1), context=_WIDE) if scale < 0 else stored, "f")
    return Lost(shown(value).strip(), text, f"rounded to {scale} digits after the point" if scale >= 0 else f"rounded to {-scale} zeros")


def _quantized(value: Decimal, scale: int) -> Decimal:
    """Rounded to the scale, without a negative zero, as numeric has none."""
    found = value.quantize(Decimal(1).scaleb(-scale), ROUND_HALF_UP, _WIDE)
    return found if found else found.copy_abs()


def _float(digits: int) -> Callable[[Column], Loss]:
    name = "real" if digits == 6 else "double precision"
    safe = 10**digits

    def loss(value: Json) -> Lost | None:
        if type(value) is int and -safe < value < safe:
            return None
        if type(value) is Decimal and len(text := str(value)) <= digits and "E" not in text:
            return None
        found = floats.parse(value) if isinstance(value, str) else decimal(value)
        if found is None or floats.unchanged(found, digits):
            return None
        stored = floats.kept(found, digits)
        if stored is None:
            return None
        return Lost(shown(value).strip(), floats.shown(stored, digits), f"{name} keeps about {digits} digits")

    return lambda column: loss


def _money(column: Column) -> Loss:
    """Money keeps two digits (where lc_monetary is C or one with cents and a decimal point)."""

    def loss(value: Json) -> Lost | None:
        match = _MONEY.fullmatch(as_text(value))
        if match is None:
            return Lost(shown(value), UNKNOWN, "money is read by the server's lc_monetary")
        cents = (match[1] or "").rstrip("0")
        if len(cents) <= 2:
            return None
        found = decimal(value)
        stored = UNKNOWN if found is None else format(_quantized(found, 2), "f")
        return Lost(shown(value), stored, "money keeps two digits after the point")

    return loss


def _oid(column: Column) -> Loss:
    """Oids have no sign, and a leading zero makes them octal."""

    def loss(value: Json) -> Lost | None:
        if isinstance(value, str) and _OCTAL.fullmatch(value):
            return Lost(shown(value), UNKNOWN, "a leading zero makes an octal number")
        found = decimal(value)
        return Lost(shown(value), str(int(found) + 2**32), "oid has no sign") if found is not None and -(2**31) <= found < 0 else None

    return loss


def _geometric(column: Column) -> Loss:
    """Points and shapes are made of doubles."""

    def loss(value: Json) -> Lost | None:
        if not isinstance(value, str):
            return None
        numbers = (floats.parse(text) for text in _NUMBERS_IN_TEXT.findall(value))
        if all(n is None or floats.unchanged(n, 15) for n in numbers):
            return None
        return Lost(shown(value), UNKNOWN, "double precision keeps about 15 digits")

    return loss


BUILDERS: Final[dict[str, Callable[[Column], Loss | None]]] = {
    "numeric": _numeric,
    "float4": _float(6),
    "float8": _float(15),
    "money": _money,
    "oid": _oid,
    **dict.fromkeys(("point", "line", "lseg", "box", "path", "polygon", "circle"), _geometric),
}
