"""Cases: every write that was healed, changed or kept, found by table, caller, key or id; one with everything."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import psycopg
from django.contrib import admin
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.decorators import display

from healing.admin.bounded import BoundedPaginator
from healing.admin.dashboard import first_write
from healing.admin.doors import ReadOnlyAdmin, closed, door
from healing.case import Case, case_of
from healing.case_acts import judge, undo_by
from healing.case_search import by_id, found
from healing.core import fixes
from healing.gateway.seal import SealError
from healing.models import ApiKey, QuarantineItem, Receipt
from healing.permits import DECIDE, REPLAY
from healing.receipts_view import find_receipt
from healing.refusals import NotFound
from healing.row_diff import diff, renames, sent_only
from healing.sealed_rows import receipt_facts
from healing.templatetags.mendgate import ago, state
from healing.undo import takes_back

MOST_ROWS = 20


class OperationFilter(admin.SimpleListFilter):
    """By operation, without asking a long table which ones there are."""

    title, parameter_name = "operation", "operation"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Those that write."""
        return [(name, name) for name in ("insert", "upsert", "update", "delete", "rpc")]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Receipt]) -> QuerySet[Receipt]:
        """Only that one."""
        return queryset.filter(operation=self.value()) if self.value() else queryset


@admin.register(Receipt)
class ReceiptAdmin(ReadOnlyAdmin):
    """The list shows no values, and no receipt of a replay: the case of the kept write tells of it."""

    list_display = ("write", "shown_outcome", "what", "caller", "when")
    list_filter = ("outcome", OperationFilter)
    search_fields = ("id",)
    search_help_text = "A table, a caller or user, the value of a primary, unique or foreign key, or the id of a receipt or kept write."
    show_full_result_count = False
    paginator = BoundedPaginator
    change_form_template = "admin/healing/receipt.html"

    @display(description="Write")
    def write(self, receipt: Receipt) -> str:
        """Operation and table."""
        return f"{receipt.operation} {receipt.schema}.{receipt.table}"

    @display(description="Outcome", ordering="outcome")
    def shown_outcome(self, receipt: Receipt) -> str:
        """Colour and word."""
        return state(receipt.item_state or receipt.outcome)  # type: ignore[attr-defined]

    @display(description="What was done")
    def what(self, receipt: Receipt) -> str:
        """Fixes and changed columns, without values."""
        if takes_back(receipt):
            return "takes a row of another write back"
        changed = [f"{c.get('column')} changed" for c in receipt.changes]
        return ", ".join([*said(receipt.fixes), *changed]) or "–"

    @display(description="Caller")
    def caller(self, receipt: Receipt) -> str:
        """The key's name and the role."""
        return f"{receipt.key_name or 'no key'} ({receipt.role})"  # type: ignore[attr-defined]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Receipt]:
        """With the names of keys, and how kept writes stand."""
        name = ApiKey.objects.filter(pk=OuterRef("key")).values("name")[:1]
        stands = QuarantineItem.objects.filter(pk=OuterRef("quarantine")).values("state")[:1]
        rows: QuerySet[Receipt] = super().get_queryset(request)
        return (
            rows.defer("sealed").exclude(outcome="replayed", quarantine=None).annotate(key_name=Subquery(name), item_state=Subquery(stands))
        )

    def get_search_results(self, request: HttpRequest, queryset: QuerySet[Receipt], search_term: str) -> tuple[QuerySet[Receipt], bool]:
        """As a person means it, by indexes only."""
        return (found(queryset, search_term) if search_term.strip() else queryset), False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """An id leads to its case at once."""
        self.require_view(request)
        case = by_id(request.GET.get("q", ""))
        if case is not None:
            return HttpResponseRedirect(reverse("admin:healing_receipt_change", args=[case]))
        return super().changelist_view(request, extra_context)

    @display(description="When", ordering="at")
    def when(self, receipt: Receipt) -> str:
        """How long ago."""
        return ago(receipt.at)

    def get_urls(self) -> list[Any]:
        """The dashboard's newcomer box renews itself from here."""
        view = self.admin_site.admin_view
        own = [
            path("first-write/", view(self.first_write), name="healing_first_write"),
            path("<uuid:pk>/undo/", view(self.undo), name="healing_undo"),
            path("<uuid:pk>/judge/", view(self.judge), name="healing_judge"),
        ]
        return own + super().get_urls()

    def first_write(self, request: HttpRequest) -> HttpResponse:
        """Turns green when the first write came."""
        self.require_view(request)
        return TemplateResponse(request, "admin/healing/_first.html", {"first": first_write(request)})

    def undo(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Takes the write back."""

        def act() -> str:
            undo_by(request.user, _receipt(str(pk)), request.POST.get("why", ""))
            return "It was taken back."

        return door(request, REPLAY, act, reverse("admin:healing_receipt_change", args=[pk]))

    def judge(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Right, or wrong: that counts against the rule."""

        def act() -> str:
            right = request.POST.get("right") == "yes"
            judge(request.user, _receipt(str(pk)), right, request.POST.get("comment", "").strip()[:500])
            return "Thank you: it is on record." if right else "It is on record, and counts against the rule that did it."

        return door(request, DECIDE, act, reverse("admin:healing_receipt_change", args=[pk]))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One case with everything; also one whose receipt is still in the target."""
        self.require_view(request)
        try:
            case = case_of(_receipt(object_id))
            details = _details(case)
        except SealError as error:
            return closed(request, self, "Case", error)
        context = {
            **self.admin_site.each_context(request), "title": f"{case.receipt.operation} {case.receipt.schema}.{case.receipt.table}",
            "opts": self.opts, "case": case, "receipt": case.receipt, "may_undo": request.user.has_perm(REPLAY) and not case.cannot_undo,
            "may_judge": request.user.has_perm(DECIDE) and bool(case.told), **details,
        }  # fmt: skip
        return TemplateResponse(request, self.change_form_template, context)


def _receipt(object_id: str) -> Receipt:
    """Wherever it is; 404 for none."""
    try:
        return find_receipt(UUID(object_id))
    except (ValueError, NotFound, psycopg.OperationalError):
        raise Http404 from None


def said(found: list[dict[str, Any]]) -> list[str]:
    """The fixes of a receipt in the header's words."""
    ops = [fixes.bare(fix) for fix in found]
    try:
        return [fixes.brief(op) for op in fixes.parse(ops)] if ops else []
    except fixes.FixError:
        return [str(op.get("op")) for op in ops]


def _details(case: Case) -> dict[str, Any]:
    facts, final = receipt_facts(case.receipt), receipt_facts(case.final)
    sent, stored = facts["sent"] or final["sent"] or [], final["stored"]
    names = renames(case.final.fixes)
    pairs = zip(sent[:MOST_ROWS], stored[:MOST_ROWS] if stored else [None] * MOST_ROWS, strict=False)
    return {
        "rows": [diff(left, right, names) if right is not None else sent_only(left) for left, right in pairs],
        "unstored": "Not stored" if case.final.outcome in ("quarantined", "rejected") else "Stored, not read back",
        "has_stored": stored is not None, "more": max(0, len(sent) - MOST_ROWS), "changes": final["changes"] or case.final.changes,
    }  # fmt: skip
