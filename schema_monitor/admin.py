"""Versions of the target's schema and what changed in each: to read, never to edit."""

from __future__ import annotations

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin, TabularInline
from unfold.decorators import display

from schema_monitor.models import SchemaChange, SchemaVersion

COLOURS = {"low": "info", "medium": "info", "high": "warning", "critical": "danger"}


class ReadOnly:
    """History is not edited."""

    def has_add_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: object = None) -> bool:
        return False


class ChangesInline(ReadOnly, TabularInline):  # type: ignore[misc]
    """The changes of one version, the worst first."""

    model = SchemaChange
    fields = ("shown_severity", "sentence", "breaks", "old", "new", "inferred", "made_by")
    readonly_fields = fields
    verbose_name_plural = "changes"

    @display(description="Severity", label=COLOURS)
    def shown_severity(self, change: SchemaChange) -> str:
        """As a coloured word."""
        return change.severity

    @display(description="Breaks")
    def breaks(self, change: SchemaChange) -> str:
        """Whom it hits: old writers, old readers."""
        hit = [who for who, so in (("writers", change.breaks_old_writers), ("readers", change.breaks_old_readers)) if so]
        return ", ".join(hit) or "–"

    @display(description="Made by")
    def made_by(self, change: SchemaChange) -> str:
        """The role, its application and its commands, where the DDL log knows."""
        if change.usr is None:
            return "–"
        return f"{change.usr} ({change.app}): {change.tag}" if change.app else f"{change.usr}: {change.tag}"


@admin.register(SchemaVersion)
class SchemaVersionAdmin(ReadOnly, ModelAdmin):  # type: ignore[misc]
    """The list says when, what and how bad; the page lists each change."""

    list_display = ("epoch", "taken_at", "summary", "shown_changes", "cause")
    list_filter = ("cause",)
    search_fields = ("summary", "changes__relation", "changes__object")
    fields = ("epoch", "taken_at", "summary", "cause", "shown_size", "fingerprint", "scope")
    readonly_fields = fields
    inlines = (ChangesInline,)
    date_hierarchy = "taken_at"
    show_full_result_count = False

    def get_queryset(self, request: HttpRequest) -> QuerySet[SchemaVersion]:
        """Without the snapshots: they may be large."""
        found: QuerySet[SchemaVersion] = super().get_queryset(request)
        return found.defer("snapshot", "lineage").annotate(change_count=Count("changes"))

    @display(description="Changes")
    def shown_changes(self, version: SchemaVersion) -> str:
        """How many; a dash for the first look."""
        return str(version.change_count or "–")  # type: ignore[attr-defined]

    @display(description="Holds")
    def shown_size(self, version: SchemaVersion) -> str:
        """How much the snapshot describes."""
        parts = ((kind, len(version.snapshot.get(kind, {}))) for kind in ("relations", "enums", "functions"))
        return ", ".join(f"{count} {kind}" for kind, count in parts)
