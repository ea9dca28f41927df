"""What the AI gateway's forms share: every change by a person leaves a decision in the same transaction."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.db.models import QuerySet
from django.http import HttpRequest
from unfold.admin import ModelAdmin

from healing import audit

_NOT_SAID = ("entered",)


class AuditedAdmin(ModelAdmin):  # type: ignore[misc]
    """``kind`` is what decisions call the row."""

    kind = ""
    actions = None

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Saved and on record together."""
        with transaction.atomic():
            obj.save()
            if form.changed_data or not change:
                self.record(request, "change" if change else "create", obj, _changes(form) if change else "")

    def save_formset(self, request: HttpRequest, form: Any, formset: Any, change: bool) -> None:
        """The rows below it."""
        with transaction.atomic():
            formset.save()
            changed = [*formset.new_objects, *(row for row, _ in formset.changed_objects), *formset.deleted_objects]
            if changed:
                self.record(request, "change", form.instance, ", ".join(map(str, changed)))

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """On record, then gone."""
        with transaction.atomic():
            self.record(request, "remove", obj)
            obj.delete()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> None:
        """As above, for several."""
        for row in queryset:
            self.delete_model(request, row)

    def record(self, request: HttpRequest, action: str, row: Any, why: str = "") -> None:
        """Leaves a decision."""
        audit.record(request.user.get_username(), action, self.kind, row.pk, why=f"{row}: {why}" if why else str(row))


def _changes(form: Any) -> str:
    """Which fields, and to what; never a secret."""
    return ", ".join(f"{name}" if name in _NOT_SAID else f"{name} = {form.cleaned_data.get(name)}" for name in form.changed_data)[:1000]
