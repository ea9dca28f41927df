"""One change: what, who, how bad and why, who is hit, what we did about it, what is next."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from unfold.decorators import display

from healing.admin.doors import ReadOnlyAdmin, door
from healing.admin.schema_pages import page
from healing.permits import MARK_CHANGE
from healing.schema_facts.consequences import consequences
from healing.schema_facts.next_step import next_step
from healing.schema_facts.reactions import reactions
from healing.schema_facts.reasons import breaks, reason
from healing.templatetags.mendgate import ago, state
from schema_monitor.models import SchemaChange
from schema_monitor.seen import SeenChange


@admin.register(SchemaChange)
class ChangeAdmin(ReadOnlyAdmin):
    """The list is for searching; the timeline is for seeing."""

    list_display = ("sentence", "shown_severity", "hits_whom", "made_by", "when")
    list_filter = ("severity", "kind", "breaks_old_writers", "breaks_old_readers", "usr")
    search_fields = ("sentence", "relation", "object", "usr", "tag")
    ordering = ("-pk",)
    list_select_related = ("version",)
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> Any:
        """Without the snapshots: they may be large."""
        return super().get_queryset(request).select_related("version").defer("version__snapshot", "version__lineage", "version__delta")

    @display(description="Severity", ordering="severity")
    def shown_severity(self, change: SchemaChange) -> str:
        """Colour and word."""
        return state(change.severity)

    @display(description="Breaks")
    def hits_whom(self, change: SchemaChange) -> str:
        """In a few words."""
        return breaks(change.breaks_old_writers, change.breaks_old_readers)

    @display(description="Made by")
    def made_by(self, change: SchemaChange) -> str:
        """The role and its application."""
        return author(change) or "–"

    @display(description="When", ordering="pk")
    def when(self, change: SchemaChange) -> str:
        """How long ago."""
        return ago(change.version.taken_at)

    def get_urls(self) -> list[Any]:
        """Our own door before Django's."""
        return [path("<int:pk>/seen/", self.admin_site.admin_view(self.seen), name="schema_seen"), *super().get_urls()]

    def seen(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Puts a change aside: it leaves the dashboard."""

        def act() -> str:
            change = get_object_or_404(SchemaChange, pk=pk)
            SeenChange.objects.get_or_create(change=change, defaults={"by": request.user.get_username()})
            return "Marked as seen; it no longer needs anybody."

        return door(request, MARK_CHANGE, act, reverse("admin:schema_monitor_schemachange_change", args=[pk]))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Everything about one change."""
        self.require_view(request)
        rows = self.get_queryset(request).select_related("seen")
        change = get_object_or_404(rows, pk=object_id if object_id.isdecimal() else 0)
        return page(request, "change", "Schema change", **_facts(request, change))


def author(change: SchemaChange) -> str:
    """``ann (psql)``, or ''."""
    if change.usr is None:
        return ""
    return f"{change.usr} ({change.app})" if change.app else change.usr


def _facts(request: HttpRequest, change: SchemaChange) -> dict[str, Any]:
    may_see = request.user.has_perm("healing.view_quarantineitem")
    led_to, done = consequences(change), reactions(change)
    seen = getattr(change, "seen", None)
    hits = change.hits or {}
    return {
        "change": change, "author": author(change), "reason": reason(change.kind), "may_see": may_see,
        "breaks": breaks(change.breaks_old_writers, change.breaks_old_readers), "led_to": led_to, "done": done, "hits": hits,
        "base": change.base_severity or change.severity, "seen": seen,
        "may_mark": request.user.has_perm(MARK_CHANGE) and seen is None,
        "step": next_step(change, led_to, old_name_in_use=done.in_use, seen=seen is not None) if may_see else None,
        "siblings": SchemaChange.objects.filter(version=change.version_id).exclude(pk=change.pk)[:50],
    }  # fmt: skip
