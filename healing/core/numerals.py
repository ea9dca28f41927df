"""Numbers in every spelling that Postgres takes for integer and numeric: ``1_000``, ``0x1F``, ``NaN``, ``-inf``."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Final

from healing.core.types import Json

_PREFIXED = re.compile(r"([+-]?)(0[xob][0-9a-f_]+)", re.ASCII | re.IGNORECASE)
_INFINITIES: Final = {"inf": "Infinity", "+inf": "Infinity", "+infinity": "Infinity", "-inf": "-Infinity"}


def number(value: Json) -> Decimal | None:
    """A number in any spelling that Postgres takes, NaN and infinity too; None for none."""
    if isinstance(value, bool) or not isinstance(value, (int, Decimal, str)):
        return None
    if not isinstance(value, str):
        return Decimal(value)
    text = value.strip(" \t\n\r\f\v")
    try:
        if (match := _PREFIXED.fullmatch(text)) is not None:
            return Decimal(int(match[1] + match[2].replace("_", ""), 0))
        return Decimal(_INFINITIES.get(text.lower(), text))
    except (InvalidOperation, ValueError):
        return None
