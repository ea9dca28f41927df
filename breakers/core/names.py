"""What a breaker may be called: its name is part of keys, URLs and logs."""

from __future__ import annotations

LONGEST = 120
_ASKED = f"A breaker's name has 1 to {LONGEST} printable characters, no braces, and no space at either end."


def check(name: str) -> str:
    """The same name. Raises ``ValueError`` where it may not be one: braces would move its keys into another breaker's slot."""
    if not 0 < len(name) <= LONGEST or not name.isprintable() or name.strip() != name or {"{", "}"} & set(name):
        raise ValueError(f"{_ASKED} This is none: {str(name)[:LONGEST]!r}")
    return name
