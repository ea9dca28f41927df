"""Receipts: sent and stored, side by side, changed parts marked."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path
from unfold.decorators import display

from healing.admin.dashboard import first_write
from healing.admin.doors import ReadOnlyAdmin, row_or_404
from healing.core import fixes
from healing.models import QuarantineItem, Receipt
from healing.receipt_copies import rules_of
from healing.row_diff import diff, renames, sent_only
from healing.sealed_rows import receipt_facts
from healing.templatetags.mendgate import ago, state

MOST_ROWS = 20
_OURS = ("source", "rule", "rows", "assist")


@admin.register(Receipt)
class ReceiptAdmin(ReadOnlyAdmin):
    """Lists show no values."""

    list_display = ("write", "shown_outcome", "what", "role", "when")
    list_filter = ("outcome", "table", "operation", "role")
    search_fields = ("id", "table", "subject", "quarantine")
    show_full_result_count = False
    change_form_template = "admin/healing/receipt.html"

    @display(description="Write")
    def write(self, receipt: Receipt) -> str:
        """Operation and table."""
        return f"{receipt.operation} {receipt.schema}.{receipt.table}"

    @display(description="Outcome", ordering="outcome")
    def shown_outcome(self, receipt: Receipt) -> str:
        """Colour and word."""
        return state(receipt.outcome)

    @display(description="What was done")
    def what(self, receipt: Receipt) -> str:
        """Fixes and changed columns, without values."""
        changed = [f"{c.get('column')} changed" for c in receipt.changes]
        return ", ".join([*said(receipt.fixes), *changed]) or "–"

    @display(description="When", ordering="at")
    def when(self, receipt: Receipt) -> str:
        """How long ago."""
        return ago(receipt.at)

    def get_urls(self) -> list[Any]:
        """The dashboard's newcomer box renews itself from here."""
        own = [path("first-write/", self.admin_site.admin_view(self.first_write), name="healing_first_write")]
        return own + super().get_urls()

    def first_write(self, request: HttpRequest) -> HttpResponse:
        """Turns green when the first write came."""
        self.require_view(request)
        return TemplateResponse(request, "admin/healing/_first.html", {"first": first_write(request)})

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One receipt with everything."""
        self.require_view(request)
        receipt = row_or_404(Receipt, object_id)
        context = {
            **self.admin_site.each_context(request), "title": f"{receipt.operation} {receipt.schema}.{receipt.table}", "opts": self.opts,
            "receipt": receipt, **_details(receipt),
        }  # fmt: skip
        return TemplateResponse(request, self.change_form_template, context)


def said(found: list[dict[str, Any]]) -> list[str]:
    """The fixes of a receipt in the header's words."""
    ops = [{k: v for k, v in fix.items() if k not in _OURS} for fix in found]
    try:
        return [fixes.brief(op) for op in fixes.parse(ops)] if ops else []
    except fixes.FixError:
        return [str(op.get("op")) for op in ops]


def assisted_by(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """What the fixes say of the AI runs that they came from, each run once."""
    facts = [fix["assist"] for fix in found if isinstance(fix.get("assist"), dict)]
    return list({each.get("run"): each for each in facts}.values())


def _details(receipt: Receipt) -> dict[str, Any]:
    facts = receipt_facts(receipt)
    sent, stored = facts["sent"] or [], facts["stored"]
    names = renames(receipt.fixes)
    pairs = zip(sent[:MOST_ROWS], stored[:MOST_ROWS] if stored else [None] * MOST_ROWS, strict=False)
    return {
        "rows": [diff(left, right, names) if right is not None else sent_only(left) for left, right in pairs],
        "unstored": "Not stored" if receipt.outcome in ("quarantined", "rejected") else "Stored, not read back",
        "has_stored": stored is not None, "more": max(0, len(sent) - MOST_ROWS), "changes": facts["changes"] or receipt.changes,
        "said": said(receipt.fixes), "rules": sorted(rules_of(receipt)), "assisted": assisted_by(receipt.fixes),
        "item": QuarantineItem.objects.filter(pk=receipt.quarantine).first() if receipt.quarantine else None,
    }  # fmt: skip
