"""The audit, to read."""

from __future__ import annotations

from django.contrib import admin

from healing.admin.doors import ReadOnlyAdmin
from healing.models import Decision


@admin.register(Decision)
class DecisionAdmin(ReadOnlyAdmin):
    """Who decided what, when and why."""

    list_display = ("at", "who", "action", "kind", "subject", "why")
    list_filter = ("action", "kind", "who")
    search_fields = ("who", "subject", "why", "content_hash")
