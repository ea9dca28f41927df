"""Versions of the target's schema: the list, one against the one before, any two side by side, a new one by hand, files to keep."""

from __future__ import annotations

from typing import Any

import psycopg
from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import path, reverse
from django.utils.http import urlencode
from unfold.decorators import display

from healing.admin import schema_compare, schema_impact, schema_names, schema_panel, schema_tables, schema_timeline
from healing.admin.doors import ReadOnlyAdmin, door
from healing.permits import CAPTURE
from healing.refusals import Refused
from healing.templatetags.mendgate import ago
from schema_monitor.capture import capture
from schema_monitor.models import SchemaVersion


@admin.register(SchemaVersion)
class VersionAdmin(ReadOnlyAdmin):
    """Every page about the schema hangs here; each is a module beside this one."""

    list_display = ("epoch", "summary", "shown_changes", "cause", "when")
    list_filter = ("cause",)
    search_fields = ("summary", "changes__relation", "changes__object")
    ordering = ("-epoch",)
    date_hierarchy = "taken_at"
    show_full_result_count = False
    change_list_template = "admin/schema/versions.html"

    def get_queryset(self, request: HttpRequest) -> QuerySet[SchemaVersion]:
        """Without the snapshots: they may be large."""
        found: QuerySet[SchemaVersion] = super().get_queryset(request)
        return found.defer("snapshot", "lineage", "delta").annotate(change_count=Count("changes", distinct=True))

    @display(description="Changes")
    def shown_changes(self, version: SchemaVersion) -> str:
        """How many; a dash for the first look."""
        return str(getattr(version, "change_count", 0) or "–")

    @display(description="Taken", ordering="epoch")
    def when(self, version: SchemaVersion) -> str:
        """How long ago."""
        return ago(version.taken_at)

    def get_urls(self) -> list[Any]:
        """Our own pages before Django's."""
        view = self.admin_site.admin_view
        own = [
            path("timeline/", view(schema_timeline.timeline), name="schema_timeline"),
            path("compare/", view(schema_compare.compare), name="schema_compare"),
            path("export/<int:epoch>.<str:form>", view(schema_compare.export), name="schema_export"),
            path("capture/", view(self.capture_now), name="schema_capture"),
            path("tables/", view(schema_tables.tables), name="schema_tables"),
            path("tables/named/", view(schema_tables.named), name="schema_table_named"),
            path("names/", view(schema_names.names), name="schema_names"),
            path("names/retire/", view(schema_names.retire), name="schema_retire_name"),
            path("names/restore/", view(schema_names.restore), name="schema_restore_name"),
            path("monitor/test/", view(schema_panel.test), name="schema_test"),
            path("monitor/install/", view(schema_panel.install), name="schema_install"),
            path("monitor/remove/", view(schema_panel.remove), name="schema_remove"),
            path("impact/", view(schema_impact.impact), name="schema_impact"),
            path("monitor/", view(schema_panel.panel), name="schema_panel"),
            path("tables/<int:oid>/", view(schema_tables.table), name="schema_table"),
        ]
        return own + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, with the door to a new version."""
        return super().changelist_view(request, {**(extra_context or {}), "may_capture": request.user.has_perm(CAPTURE)})

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """A version is shown against the one before."""
        self.require_view(request)
        if request.method != "GET":
            return super().change_view(request, object_id, form_url, extra_context)
        found = self.get_queryset(request).filter(pk=object_id if object_id.isdecimal() else 0).first()
        if found is None:
            return super().change_view(request, object_id, form_url, extra_context)
        query = urlencode({"from": max(1, found.epoch - 1), "to": found.epoch})
        return HttpResponseRedirect(reverse("admin:schema_compare") + "?" + query)

    def capture_now(self, request: HttpRequest) -> HttpResponse:
        """Reads the target at once."""
        return door(request, CAPTURE, _capture, reverse("admin:schema_monitor_schemaversion_changelist"))


def _capture() -> str:
    try:
        version = capture("command")
    except psycopg.Error as error:
        raise Refused(f"The target could not be read: {str(error).strip().splitlines()[0]}", "Nothing was stored.") from error
    if version is None:
        return "Read: the schema is as it was in the newest version."
    return f"Version {version.epoch}: {version.summary}"
