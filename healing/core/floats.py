"""What ``real`` and ``double precision`` keep of a decimal number, and the text Postgres shows for it."""

from __future__ import annotations

import math
import struct
from decimal import Decimal, InvalidOperation
from fractions import Fraction


def kept(value: Decimal, digits: int) -> Decimal | None:
    """The number that a float of ``digits`` safe digits (6 real, 15 double) shows after storing ``value``; None where Postgres
    refuses it as out of range."""
    stored = nearest_real(value) if digits == 6 else _double(value)
    if stored is None:
        return None
    return shortest(stored, digits)


def unchanged(value: Decimal, digits: int) -> bool:
    """Whether the float stands for exactly this number: it prints as it, or a real holds the very double that was sent."""
    shown = value.as_tuple()
    if not isinstance(shown.exponent, int) or (len(shown.digits) <= digits and -30 < value.adjusted() < 30):
        return True
    double = _double(value)
    if digits == 15:
        return double is None or Decimal(repr(double)) == value or kept(value, digits) == value
    stored = kept(value, digits)
    return stored is None or stored == value or _is_the_double_sent(value)


def _is_the_double_sent(value: Decimal) -> bool:
    """A client's double that is a real to the last bit, printed with 17 digits."""
    double = _double(value)
    return double is not None and Decimal(repr(double)) == value and nearest_real(value) == double


def _double(value: Decimal) -> float | None:
    try:
        found = float(value)
    except (OverflowError, ValueError):
        return None
    return None if math.isinf(found) or (found == 0 and value != 0) else found


def nearest_real(value: Decimal) -> float | None:
    """The 4-byte float next to the number, rounded once, as strtof does."""
    double = _double(value)
    if double is None:
        return None
    try:
        found: float = struct.unpack("f", struct.pack("f", double))[0]
    except OverflowError:
        return None
    if math.isinf(found) or (found == 0 and value != 0):
        return None
    exact = Fraction(value)
    return min(_neighbours(found), key=lambda real: (abs(Fraction(real) - exact), _bits(real) & 1))


def _bits(real: float) -> int:
    found: int = struct.unpack("I", struct.pack("f", real))[0]
    return found


def _neighbours(real: float) -> list[float]:
    bits = _bits(real)
    near: list[float] = [struct.unpack("f", struct.pack("I", b))[0] for b in (bits - 1, bits, bits + 1) if 0 <= b < 2**32]
    return [f for f in near if math.isfinite(f)]


def shortest(stored: float, digits: int) -> Decimal:
    """The fewest digits that lie nearer to this float than to its neighbours, as Postgres writes it (never a point half way between)."""
    exact = Fraction(stored)
    near = _neighbours(stored) if digits == 6 else [math.nextafter(stored, -math.inf), math.nextafter(stored, math.inf)]
    others = [Fraction(n) for n in near if n != stored and math.isfinite(n)]
    for count in range(1, 18):
        found = Decimal(f"{stored:.{count}g}")
        if all(abs(Fraction(found) - exact) < abs(Fraction(found) - other) for other in others):
            return found
    return Decimal(stored)


def shown(value: Decimal, digits: int) -> str:
    """The text of a kept number as Postgres writes it: scientific outside 1e-5 … 10^digits."""
    sign, figures, exponent = value.as_tuple()
    text = "".join(map(str, figures)).rstrip("0") or "0"
    power = value.adjusted()
    if not isinstance(exponent, int) or value == 0:
        return "-0" if sign and value == 0 else str(value) if value else "0"
    minus = "-" if sign else ""
    if -5 < power < digits:
        return minus + format(abs(value).normalize(), "f")
    mantissa = text[0] + (f".{text[1:]}" if len(text) > 1 else "")
    return f"{minus}{mantissa}e{'-' if power < 0 else '+'}{abs(power):02d}"


def parse(text: str) -> Decimal | None:
    """The number of a text as strtod reads it, hexadecimal too; None for no number, NaN and infinity."""
    bare = text.strip(" \t\n\r\f\v")
    try:
        found = Decimal(float.fromhex(bare)) if "x" in bare.lower() else Decimal(bare)
    except (InvalidOperation, ValueError, OverflowError):
        return None
    return found if found.is_finite() else None
