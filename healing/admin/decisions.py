"""The audit: to read, to check, to take along."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.http.response import HttpResponseBase
from django.urls import path, reverse

from healing import audit_check
from healing.admin.doors import ReadOnlyAdmin, download
from healing.models import Decision

MOST_FAULTS = 20


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    """Who decided what, when and why."""

    list_display = ("number", "at", "who", "action", "kind", "subject", "why")
    list_filter = ("action", "kind", "who")
    search_fields = ("who", "subject", "why", "content_hash")
    ordering = ("-number",)
    change_list_template = "admin/healing/decision_list.html"

    def get_urls(self) -> list[Any]:
        """Our own pages before Django's."""
        view = self.admin_site.admin_view
        own = [
            path("export.jsonl", view(self.export), name="healing_audit_export"),
            path("check/", view(self.check_chain), name="healing_audit_check"),
        ]
        return own + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """With the newest link of the chain above the list."""
        number, last = audit_check.head()
        return super().changelist_view(request, {"head_number": number, "head_hash": last, **(extra_context or {})})

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """Every decision, one JSON object a line, as ``verify_audit --file`` reads it."""
        self.require_view(request)
        return download(audit_check.lines(), "decisions.jsonl", "application/jsonl")

    def check_chain(self, request: HttpRequest) -> HttpResponse:
        """Recomputes the whole chain."""
        self.require_view(request)
        found = audit_check.faults() + audit_check.unrecorded()
        for fault in found[:MOST_FAULTS]:
            messages.error(request, fault[:1].upper() + fault[1:] + ".")
        if not found:
            number, last = audit_check.head()
            messages.success(
                request, f"{number} decisions, none altered, removed or moved. The newest has the hash {last or 'of nothing'}."
            )
        return HttpResponseRedirect(reverse("admin:healing_decision_changelist"))
