"""When a stored value is another spelling of the meant one: numbers, booleans, bytes, addresses, ranges and shapes."""

from __future__ import annotations

import re
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from ipaddress import ip_interface, ip_network
from typing import Final

from healing.core import floats
from healing.core.numerals import number
from healing.core.types import Json
from healing.core.values import as_text, same

Equal = Callable[[Json, Json], bool]


def _numeric(meant: Json, stored: Json) -> bool:
    a, b = number(meant), number(stored)
    return a is not None and b is not None and (a == b or (a.is_nan() and b.is_nan()))


def _float(digits: int) -> Equal:
    """Equal numbers, or the same float where the meant number is one that it stands for."""

    def equal(meant: Json, stored: Json) -> bool:
        if _numeric(meant, stored):
            return True
        a, b = _float_number(meant), number(stored)
        if a is None or b is None or not b.is_finite() or not floats.unchanged(a, digits):
            return False
        return floats.kept(a, digits) == floats.kept(b, digits)

    return equal


_real = _float(6)


def _float_number(value: Json) -> Decimal | None:
    """As strtod reads a text; hexadecimal too."""
    if isinstance(value, str):
        return floats.parse(value)
    found = number(value)
    return found if found is not None and found.is_finite() else None


def _boolean(meant: Json, stored: Json) -> bool:
    if isinstance(meant, bool):
        return meant is stored
    word = as_text(meant).strip(" \t\n\r\f\v").lower()
    if not word or isinstance(meant, (dict, list)):
        return False
    truth = "true".startswith(word) or "yes".startswith(word) or word in ("on", "1")
    falsehood = "false".startswith(word) or "no".startswith(word) or word in ("of", "off", "0")
    return stored is True if truth else stored is False and falsehood


def _uuid(meant: Json, stored: Json) -> bool:
    return _bare(meant, "{}-") == _bare(stored, "{}-")


def _macaddr(meant: Json, stored: Json) -> bool:
    return _bare(meant, ":.- ") == _bare(stored, ":.- ")


def _bits(meant: Json, stored: Json) -> bool:
    text = as_text(meant)
    if text[:1] in ("x", "X"):
        text = "".join(f"{int(c, 16):04b}" for c in text[1:] if c in "0123456789abcdefABCDEF")
    return text.lstrip("bB") == as_text(stored)


def _bare(value: Json, noise: str) -> str:
    return as_text(value).translate({ord(c): None for c in noise}).lower()


def _padded(meant: Json, stored: Json) -> bool:
    """char(n): trailing spaces mean nothing."""
    return not isinstance(meant, (dict, list)) and isinstance(stored, str) and as_text(meant).rstrip(" ") == stored.rstrip(" ")


def _bytea(meant: Json, stored: Json) -> bool:
    if isinstance(meant, (dict, list)):
        return False
    a, b = _bytes(as_text(meant)), _bytes(as_text(stored))
    return a is not None and a == b


_ESCAPED = re.compile(rb"\\(\\|[0-3][0-7]{2})")


def _bytes(text: str) -> bytes | None:
    """The bytes of bytea's hex or escape format."""
    if text.startswith("\\x"):
        try:
            return bytes.fromhex(text[2:])
        except ValueError:
            return None
    return _ESCAPED.sub(lambda m: b"\\" if m[1] == b"\\" else bytes([int(m[1], 8)]), text.encode("utf-8", "surrogatepass"))


def _inet(meant: Json, stored: Json) -> bool:
    try:
        return ip_interface(as_text(meant)) == ip_interface(as_text(stored))
    except ValueError:
        return as_text(meant) == as_text(stored)


def _cidr(meant: Json, stored: Json) -> bool:
    try:
        return ip_network(as_text(meant)) == ip_network(as_text(stored))
    except ValueError:
        return as_text(meant) == as_text(stored)


_MONEY = re.compile(r"(?P<open>\()?(?P<sign>-)?\$?(?P<sign2>-)?(?P<digits>[\d,]*(?:\.\d*)?)\)?", re.ASCII)


def _money(meant: Json, stored: Json) -> bool:
    a, b = _amount(as_text(meant)), _amount(as_text(stored))
    return a is not None and a == b


def _amount(text: str) -> Decimal | None:
    match = _MONEY.fullmatch(text.replace(" ", ""))
    try:
        found = Decimal(match["digits"].replace(",", "")) if match else None
    except InvalidOperation:
        return None
    return -found if found is not None and match and (match["open"] or match["sign"] or match["sign2"]) else found


_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?", re.ASCII)


def _shape(meant: Json, stored: Json) -> bool:
    """Points and shapes: the same numbers in the same order."""
    return _numbers(meant) == _numbers(stored)


def _box(meant: Json, stored: Json) -> bool:
    """Boxes are kept with the upper right corner first."""
    return _corners(meant) == _corners(stored)


def _corners(value: Json) -> tuple[list[Decimal], list[Decimal]] | None:
    found = _numbers(value)
    return (sorted(found[0::2]), sorted(found[1::2])) if len(found) == 4 else None


def _numbers(value: Json) -> list[Decimal]:
    return [Decimal(text) for text in _NUMBER.findall(as_text(value))]


def _vector(meant: Json, stored: Json) -> bool:
    a, b = _numbers(meant), _numbers(stored)
    return len(a) == len(b) and all(map(_real, a, b))


_RANGE = re.compile(r"""\s*(?P<from>[\[(])\s*"?(?P<low>[^,"]*?)"?\s*,\s*"?(?P<high>[^,"]*?)"?\s*(?P<to>[\])])\s*""")


def same_range(meant: Json, stored: Json, equal: Equal, after: Callable[[str], str] | None = None) -> bool:
    """Ranges by their bounds. ``after`` gives the next value of a discrete type, whose ranges Postgres keeps as ``[low, high)``."""
    a, b = as_text(meant).strip(), as_text(stored).strip()
    left, right = _RANGE.fullmatch(a), _RANGE.fullmatch(b)
    if b == "empty":
        return a.lower() == b or (left is not None and _is_empty(_bounds(left, after), equal))
    if left is None or right is None:
        return a.replace(" ", "") == b.replace(" ", "")
    return all(_same_bound(x, y, equal) for x, y in zip(_bounds(left, after), _bounds(right, after), strict=True))


def _bounds(match: re.Match[str], after: Callable[[str], str] | None) -> tuple[tuple[str, bool], tuple[str, bool]]:
    """Lower and upper bound, each with whether it belongs to the range; an open end never does."""
    low, high = match["low"], match["high"]
    with_low, with_high = match["from"] == "[" and bool(low), match["to"] == "]" and bool(high)
    if after is None:
        return (low, with_low), (high, with_high)
    low = after(low) if low and not with_low else low
    high = after(high) if with_high else high
    return (low, bool(low)), (high, False)


def _is_empty(bounds: tuple[tuple[str, bool], tuple[str, bool]], equal: Equal) -> bool:
    """Both ends are the same value, which does not belong to it."""
    (low, with_low), (high, with_high) = bounds
    return bool(low and high) and not (with_low and with_high) and equal(low, high)


def _same_bound(meant: tuple[str, bool], stored: tuple[str, bool], equal: Equal) -> bool:
    if meant[1] != stored[1] or bool(meant[0]) != bool(stored[0]):
        return False
    return not meant[0] or equal(meant[0], stored[0])


def _integer_range(meant: Json, stored: Json) -> bool:
    try:
        return same_range(meant, stored, _numeric, lambda text: str(int(text) + 1))
    except ValueError:
        return False


def _numeric_range(meant: Json, stored: Json) -> bool:
    return same_range(meant, stored, _numeric)


def _json(meant: Json, stored: Json) -> bool:
    return same(meant, stored)


EQUAL: Final[dict[str, Equal]] = {
    **dict.fromkeys(("int2", "int4", "int8", "oid", "numeric"), _numeric),
    "float4": _real,
    "float8": _float(15),
    "bool": _boolean,
    "uuid": _uuid,
    "bpchar": _padded,
    "bytea": _bytea,
    "inet": _inet,
    "cidr": _cidr,
    "macaddr": _macaddr,
    "macaddr8": _macaddr,
    "bit": _bits,
    "varbit": _bits,
    "money": _money,
    **dict.fromkeys(("point", "line", "lseg", "path", "polygon", "circle"), _shape),
    "box": _box,
    **dict.fromkeys(("vector", "halfvec"), _vector),
    **dict.fromkeys(("int4range", "int8range"), _integer_range),
    "numrange": _numeric_range,
}
