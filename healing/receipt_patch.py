"""The source patch of a receipt: what its writer should change in their code. Of a kept write it is what the likeliest proposal says."""

from __future__ import annotations

from collections.abc import Container
from typing import Any

from healing.core import fixes, labels
from healing.core.explain import source_diff
from healing.live_schema import find_relation, latest_snapshot
from healing.models import Proposal, QuarantineItem, Receipt
from healing.refusals import DoesNotFit

LIKELY = 0.5
_OURS = ("source", "rule", "rows", "assist")


def patch_of(receipt: Receipt, final: Receipt) -> str | None:
    """A diff, or None where nothing need change. ``final`` tells of the stored rows."""
    found = _applied(final) or _proposed(receipt)
    return source_diff(receipt.table, receipt.operation, found, closed_lists(receipt.schema, receipt.table)) or None if found else None


def closed_lists(schema: str, table: str) -> Container[str]:
    """The columns of a table whose values are a closed list."""
    try:
        snapshot = latest_snapshot()[1]
    except DoesNotFit:
        return ()
    relation = find_relation(snapshot, schema, table)
    return labels.by_name(relation, snapshot.enums) if relation is not None else ()


def _applied(final: Receipt) -> list[tuple[fixes.Fix, bool]]:
    """A name that lineage resolved outside the payload concerns no row."""
    found = []
    for told in final.fixes:
        op = {name: value for name, value in told.items() if name not in _OURS} if isinstance(told, dict) else {}
        try:
            found += [(fix, bool(told.get("rows"))) for fix in fixes.parse([op])]
        except fixes.FixError:
            continue
    return found


def _proposed(receipt: Receipt) -> list[tuple[fixes.Fix, bool]]:
    item = QuarantineItem.objects.filter(pk=receipt.quarantine).first() if receipt.quarantine else None
    if item is None:
        return []
    cause = {"schema": item.schema, "table": item.table, "signature": item.signature}
    open_ = Proposal.objects.filter(**cause, state__in=["open", "approved"], probability__gte=LIKELY)
    best: Any = open_.order_by("-probability", "created_at").first()
    if best is None:
        return []
    try:
        return [(fix, True) for fix in fixes.parse(best.fix)]
    except fixes.FixError:
        return []
