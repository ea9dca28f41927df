"""What a fix would make of the writes that wait, without writing anything."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from healing.checked_fix import parsed
from healing.core import fixes
from healing.core.types import Json
from healing.models import QuarantineItem
from healing.refusals import Refused
from healing.row_diff import Line, diff, renames
from healing.sealed_rows import claims_of, redacted, rows_of


class Preview(Struct, frozen=True):
    """One row before and after a fix; ``blocked`` says why the fix does not apply to it."""

    lines: list[Line]
    blocked: str = ""


def preview(item: QuarantineItem, fix: list[dict[str, Any]], *, values: bool) -> Preview:
    """The first row of a write; types instead of values where ``values`` is False."""
    rows = rows_of(item)
    row = rows[0] if rows else {}
    after, blocked = _after(row, fix, claims_of(item))
    shown = (row, after) if values else without_values(row, after, fix)
    return Preview(diff(*shown, renames(fix)), blocked)


def without_values(row: Json, after: Json, fix: list[dict[str, Any]]) -> tuple[Json, Json]:
    """Types instead of values, and what changed within a type still marked: a mapped value as the fix itself names it."""
    before, then = redacted(row), redacted(after)
    if not (isinstance(row, dict) and isinstance(after, dict) and isinstance(before, dict) and isinstance(then, dict)):
        return before, then
    mapped = {op["column"]: op for op in fix if op["op"] == "map_value"}
    for key in row.keys() & after.keys():
        if row[key] != after[key] and before[key] == then[key]:
            op = mapped.get(key, {})
            named = "from" in op and row[key] == op["from"]
            before[key], then[key] = (op["from"], op["to"]) if named else (before[key], f"{then[key]}, changed")
    return before, then


def _after(row: Json, fix: list[dict[str, Any]], claims: dict[str, Any]) -> tuple[Json, str]:
    if not isinstance(row, dict):
        return row, "the payload is no row"
    try:
        return fixes.apply(parsed(fix), row, claims), ""
    except (fixes.FixError, Refused) as error:
        return row, str(error)
