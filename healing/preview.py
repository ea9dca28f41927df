"""What a fix would make of the writes that wait, without writing anything."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from healing.checked_fix import checked, parsed
from healing.core import fixes
from healing.core.types import Json
from healing.models import Proposal, QuarantineItem
from healing.refusals import Refused
from healing.row_diff import Line, diff, renames
from healing.sealed_rows import claims_of, redacted, rows_of
from schema_monitor.core.snapshot import Relation

MOST_CASES = 100


class Preview(Struct, frozen=True):
    """One row before and after a fix; ``blocked`` says why the fix does not apply to it."""

    lines: list[Line]
    blocked: str = ""


class Outlook(Struct, frozen=True):
    """Of the waiting writes (the first 100 rows): how many rows the fix fits. ``unfit`` says why it fits none at all."""

    fits: int
    rows: int
    unfit: str = ""


def preview(item: QuarantineItem, fix: list[dict[str, Any]], *, values: bool) -> Preview:
    """The first row of a write; types instead of values where ``values`` is False."""
    rows = rows_of(item)
    row = rows[0] if rows else {}
    after, blocked = _after(row, fix, claims_of(item))
    shown = (row, after) if values else (redacted(row), redacted(after))
    return Preview(diff(*shown, renames(fix)), blocked)


def outlook(proposal: Proposal) -> Outlook:
    """Tries the fix on what waits for it."""
    try:
        ops, relation = checked(proposal.fix, proposal.schema, proposal.table)
    except Refused as error:
        return Outlook(0, 0, error.message)
    cause = QuarantineItem.objects.filter(schema=proposal.schema, table=proposal.table, signature=proposal.signature)
    rows = [row for item in cause.filter(state__in=["waiting", "parked"])[:MOST_CASES] for row in rows_of(item)][:MOST_CASES]
    return Outlook(sum(_fits(ops, row, relation) for row in rows), len(rows))


def _after(row: Json, fix: list[dict[str, Any]], claims: dict[str, Any]) -> tuple[Json, str]:
    if not isinstance(row, dict):
        return row, "the payload is no row"
    try:
        return fixes.apply(parsed(fix), row, claims), ""
    except (fixes.FixError, Refused) as error:
        return row, str(error)


def _fits(ops: tuple[fixes.Fix, ...], row: Json, relation: Relation) -> bool:
    return isinstance(row, dict) and fixes.blocked(ops, row, relation) is None
