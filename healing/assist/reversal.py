"""A write that the AI tier healed was taken back, or called wrong: its fix is applied to nothing more by itself."""

from __future__ import annotations

from healing.assist.models import AssistRun
from healing.models import QuarantineItem, Receipt


def note_reversal(receipt: Receipt) -> None:
    """Every proven run with the same fix for that table becomes a proposal again; ``known.taken_back`` keeps later ones from it."""
    said = [fix.get("assist") for fix in receipt.fixes if isinstance(fix, dict)]
    runs = AssistRun.objects.filter(pk__in=[each["run"] for each in said if isinstance(each, dict)])
    for run in runs:
        same = AssistRun.objects.filter(schema=run.schema, table=run.table, content_hash=run.content_hash, verdict="proven")
        QuarantineItem.objects.filter(assist__in=same, state__in=["waiting", "parked"]).update(assist=None)
        same.update(verdict=AssistRun.Verdict.PROPOSED, why="a write healed with it was taken back")
