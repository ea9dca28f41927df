"""Two rows side by side, key by key, for people: what stayed, what changed, what moved, what came and went."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from healing.core.types import Json

_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_MOST_CHARACTERS = 300


class Line(Struct, frozen=True):
    """One key. ``mark``: same, changed, removed (only left), added (only right), moved (left renamed to right)."""

    left_key: str
    left: str
    right_key: str
    right: str
    mark: str


def diff(before: Json, after: Json, renamed: dict[str, str] | None = None) -> list[Line]:
    """Lines in the order of the left row, then what is only right. ``renamed`` maps left keys to right keys."""
    if not isinstance(before, dict) or not isinstance(after, dict):
        return [_line("", before, "", after, "same" if before == after else "changed")]
    names = renamed or {}
    lines, seen = [], set()
    for key, value in before.items():
        target = key if key in after else names.get(key)
        if target is None or target not in after:
            lines.append(Line(key, text(value), "", "", "removed"))
            continue
        seen.add(target)
        lines.append(_line(key, value, target, after[target], _mark(key, value, target, after[target])))
    return lines + [Line("", "", key, text(value), "added") for key, value in after.items() if key not in seen]


def sent_only(row: Json) -> list[Line]:
    """The left side alone."""
    pairs = row.items() if isinstance(row, dict) else [("", row)]
    return [Line(key, text(value), "", "", "same") for key, value in pairs]


def renames(fix: list[dict[str, Any]]) -> dict[str, str]:
    """Which keys a fix renames."""
    return {op["from"]: op["to"] for op in fix if op.get("op") == "rename_column"}


def text(value: Json) -> str:
    """A value as JSON, cut to a readable length."""
    whole = _encoder.encode(value).decode()
    return whole if len(whole) <= _MOST_CHARACTERS else whole[:_MOST_CHARACTERS] + "…"


def _mark(key: str, value: Json, target: str, after: Json) -> str:
    if value != after:
        return "changed"
    return "same" if key == target else "moved"


def _line(left_key: str, left: Json, right_key: str, right: Json, mark: str) -> Line:
    return Line(left_key, text(left), right_key, text(right), mark)
