"""Type names as people, Postgres' messages and ``format_type`` write them, brought to one spelling."""

from __future__ import annotations

import re
from typing import Final

_ALIASES: Final = {
    "int": "integer",
    "int2": "smallint",
    "int4": "integer",
    "int8": "bigint",
    "bool": "boolean",
    "float4": "real",
    "float8": "double precision",
    "varchar": "character varying",
    "bpchar": "character",
    "char": "character",
    "decimal": "numeric",
    "timestamp": "timestamp without time zone",
    "timestamptz": "timestamp with time zone",
    "time": "time without time zone",
    "timetz": "time with time zone",
}


def plain(name: str) -> str:
    """The name without modifiers, in ``format_type``'s spelling: ``timestamptz(3)[]`` is ``timestamp with time zone[]``."""
    bare = re.sub(r"\s+", " ", re.sub(r"\([^)]*\)", "", name)).strip().lower()
    element = bare.removesuffix("[]").strip()
    return _ALIASES.get(element, element) + ("[]" if bare.endswith("[]") else "")
