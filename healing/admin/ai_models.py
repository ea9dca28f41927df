"""Models with their chains of fallbacks, canned answers, and what holds for all."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.forms.models import BaseInlineFormSet, ModelForm
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from unfold.admin import TabularInline
from unfold.decorators import display

from breakers.models import AiCanned, AiFallback, AiModel, AiProvider, AiSettings
from breakers.models.ai_rules import cycle
from healing.admin.ai_audited import AuditedAdmin
from healing.admin.ai_picture import chain
from healing.gateway.settings import current
from healing.templatetags.mendgate import badge


class FallbackSet(BaseInlineFormSet):  # type: ignore[type-arg]
    """Judged together: each row alone does not see the others of the same form."""

    def clean(self) -> None:
        """No way round in circles by what this form says."""
        super().clean()
        if any(self.errors) or not self.instance.pk:
            return
        chains: dict[str, list[str]] = {}
        for row in AiFallback.objects.exclude(model=self.instance).select_related("model", "fallback"):
            chains.setdefault(row.model.name, []).append(row.fallback.name)
        kept = [form.cleaned_data for form in self.forms if form.cleaned_data and not form.cleaned_data.get("DELETE")]
        chains[self.instance.name] = [each["fallback"].name for each in kept if each.get("fallback")]
        if way := cycle(chains, self.instance.name):
            raise ValidationError(f"This goes round in circles: {' → '.join(way)}.")


class FallbackForm(ModelForm):  # type: ignore[type-arg]
    """A row of a table: its column's head is no label."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        for name, field in self.fields.items():
            inner: Any = getattr(field.widget, "widget", field.widget)
            inner.attrs["aria-label"] = field.label or name


class FallbackInline(TabularInline):  # type: ignore[misc]
    """Who stands in, in order."""

    model = AiFallback
    fk_name = "model"
    formset = FallbackSet
    form = FallbackForm
    fields = ("position", "fallback")
    extra = 1
    verbose_name = "fallback"
    verbose_name_plural = "If it cannot answer, these are asked, in order"


@admin.register(AiModel)
class AiModelAdmin(AuditedAdmin):
    """The list shows each chain as a picture."""

    kind = "ai model"
    list_display = ("name", "provider", "shown_chain", "prices", "context", "shown_state")
    list_filter = ("provider", "kind", "enabled")
    search_fields = ("name", "upstream")
    fieldsets = (
        (None, {"fields": ("name", "provider", "upstream", "kind", "context_tokens", "enabled")}),
        ("Prices", {"fields": ("input_price", "output_price", "cached_price")}),
    )
    inlines = (FallbackInline,)
    change_form_template = "admin/ai/model.html"
    change_list_template = "admin/ai/models.html"

    @display(description="Who answers")
    def shown_chain(self, row: AiModel) -> str:
        """It, then its fallbacks."""
        return chain(row)

    @display(description="$ per million, in · out")
    def prices(self, row: AiModel) -> str:
        """Nothing is free unless a person says so."""
        return f"{row.input_price.normalize():f} · {row.output_price.normalize():f}"

    @display(description="Context")
    def context(self, row: AiModel) -> str:
        """In tokens."""
        return f"{row.context_tokens:,}" if row.context_tokens else "unknown"

    @display(description="State", ordering="enabled")
    def shown_state(self, row: AiModel) -> str:
        """Whether it can be asked."""
        if not row.enabled:
            return badge("off", "plain")
        return badge("on", "active") if row.provider.enabled else badge("provider is off", "failed")

    def get_queryset(self, request: HttpRequest) -> QuerySet[AiModel]:
        """With what the picture needs."""
        found: QuerySet[AiModel] = super().get_queryset(request)
        return found.select_related("provider").prefetch_related("fallbacks__fallback__provider")

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, and the next step where it is empty."""
        more = {
            "none": not AiModel.objects.exists(),
            "no_provider": not AiProvider.objects.exists(),
            "environment": current().ai.model or "",
        }
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The form, under the picture."""
        row = AiModel.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "picture": chain(row) if row else ""})


@admin.register(AiCanned)
class AiCannedAdmin(AuditedAdmin):
    """What callers get when nobody can answer."""

    kind = "canned answer"
    list_display = ("title", "fits", "position", "shown_state")
    list_filter = ("enabled", "model")
    search_fields = ("title", "content")
    fields = ("title", "model", "contains", "content", "position", "enabled")
    change_list_template = "admin/ai/canned.html"

    @display(description="Given where")
    def fits(self, row: AiCanned) -> str:
        """Which questions."""
        model = f"{row.model} is asked" if row.model else "any chat model is asked"
        return f"{model} about “{row.contains}”" if row.contains else model

    @display(description="State", ordering="enabled")
    def shown_state(self, row: AiCanned) -> str:
        """On or off."""
        return badge("on", "active") if row.enabled else badge("off", "plain")


@admin.register(AiSettings)
class AiSettingsAdmin(AuditedAdmin):
    """One row: its list is its form."""

    kind = "ai settings"
    fieldsets = (
        ("Who answers", {"fields": ("default_model", "unknown_to_default")}),
        ("Retries", {"fields": (("retry_ratio", "retry_floor"),)}),
        ("What is kept", {"fields": ("cache_seconds", "log_bodies", "retention_days")}),
    )

    def has_add_permission(self, request: HttpRequest) -> bool:
        """There is one."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """There is always one."""
        return False

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Straight to the form; the row is made where it is wanted first."""
        if not self.has_view_permission(request):
            return super().changelist_view(request, extra_context)
        if not AiSettings.objects.filter(pk=1).exists():
            AiSettings(pk=1).save()
        return HttpResponseRedirect(reverse("admin:breakers_aisettings_change", args=[1]))
