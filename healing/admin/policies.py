"""Policies: what may be done to writes, from the most general place to the most special."""

from __future__ import annotations

from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from healing.assist.configured import NOBODY, is_configured
from healing.models import Healing, Policy
from healing.policy import announce


@admin.register(Policy)
class PolicyAdmin(ModelAdmin):  # type: ignore[misc]
    """The one ordinary form here; every change is audited and told to the gateways."""

    list_display = ("__str__", "healing", "quarantine", "strict", "auto_certify")
    list_filter = ("healing", "quarantine", "strict", "auto_certify")
    search_fields = ("schema", "table")
    fields = ("schema", "table", "key", "healing", "quarantine", "strict", "allow_tx_rollback", "auto_certify")
    actions = None

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Saved and announced in one transaction."""
        with transaction.atomic():
            obj.save()
            announce(obj, request.user.get_username(), "change" if change else "create")
        if obj.healing == Healing.ASSISTED and not is_configured():
            messages.warning(request, NOBODY)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Announced, then removed."""
        with transaction.atomic():
            announce(obj, request.user.get_username(), "remove")
            obj.delete()
