"""Which names a proposal may give to something new. A caller made them up, so only what reads as a word is taken."""

from __future__ import annotations

import re

_WORD = re.compile(r"[^\W\d][\w$]*")
_OF_POSTGRES = frozenset({"tableoid", "xmin", "cmin", "xmax", "cmax", "ctid", "oid"})
_LONGEST = 63
_MOST_SLUG = 60


def may_name(name: str) -> bool:
    """Whether a column or table may be called so."""
    return bool(_WORD.fullmatch(name)) and len(name.encode()) <= _LONGEST and name.lower() not in _OF_POSTGRES


def may_label(text: str) -> bool:
    """Whether an enum could have this label; also what a check list takes from us."""
    return 0 < len(text.encode("utf-8", "replace")) <= _LONGEST and text.isprintable()


def slug(*words: str) -> str:
    """Words as part of a file's name: small ASCII letters, digits and underscores."""
    plain = re.sub(r"[^a-z0-9]+", "_", "_".join(words).lower())
    return plain.strip("_")[:_MOST_SLUG].strip("_") or "schema_change"
