"""AI providers and their keys: who answers, whether it works, which keys are in use."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.core.exceptions import ValidationError
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import path, reverse
from django.utils import timezone
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import UnfoldAdminPasswordWidget

from breakers import ai_keys, registry
from breakers.ai_trial import trial
from breakers.gateway.ai.gates import name_of
from breakers.models import AiCredential, AiModel, AiProvider
from healing import audit
from healing.admin.ai_audited import AuditedAdmin
from healing.admin.doors import door
from healing.gateway.settings import current
from healing.permits import require_reason
from healing.refusals import WrongState
from healing.templatetags.mendgate import ago, badge, state

CHANGE, CHANGE_KEYS = "breakers.change_aiprovider", "breakers.change_aicredential"


@admin.register(AiProvider)
class AiProviderAdmin(AuditedAdmin):
    """The page has the try-out and the keys; secrets are nowhere."""

    kind = "ai provider"
    list_display = ("name", "base_url", "shown_state", "keys", "models_of")
    search_fields = ("name", "base_url")
    fieldsets = (
        (None, {"fields": ("name", "base_url", "allow_private", "enabled")}),
        ("How long it may take (seconds)", {"fields": (("connect_seconds", "first_token_seconds"), ("stall_seconds", "total_seconds"))}),
        ("Sent along", {"fields": ("headers",)}),
    )
    change_form_template = "admin/ai/provider.html"
    change_list_template = "admin/ai/providers.html"

    @display(description="State", ordering="enabled")
    def shown_state(self, row: AiProvider) -> str:
        """In use, off, or without a key that works."""
        if not row.enabled:
            return badge("off", "plain")
        if row.all_keys and not row.active_keys:  # type: ignore[attr-defined]
            return badge("no key in use", "failed")
        return badge("on", "active")

    @display(description="Keys in use")
    def keys(self, row: AiProvider) -> str:
        """Of all."""
        link = reverse("admin:breakers_aicredential_changelist") + f"?provider__id__exact={row.pk}"
        said = f"{row.active_keys} of {row.all_keys}" if row.all_keys else "none"  # type: ignore[attr-defined]
        return format_html('<a href="{}">{}</a>', link, said)

    @display(description="Models")
    def models_of(self, row: AiProvider) -> str:
        """Their names."""
        return ", ".join(row.models.values_list("name", flat=True)[:5]) or "–"

    def get_queryset(self, request: HttpRequest) -> QuerySet[AiProvider]:
        """With the counts of keys."""
        found: QuerySet[AiProvider] = super().get_queryset(request)
        active = Count("credentials", filter=Q(credentials__state="active"))
        return found.annotate(all_keys=Count("credentials"), active_keys=active)

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """Its breaker, its log and its models go by the name."""
        return ("name",) if obj else ()

    def get_urls(self) -> list[Any]:
        """Our own door before Django's."""
        return [path("<int:pk>/try/", self.admin_site.admin_view(self.try_it), name="ai_try"), *super().get_urls()]

    def try_it(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Makes one real call and says what came."""
        row = get_object_or_404(AiProvider, pk=pk)

        def act() -> str:
            ended = trial(current().ai, row.name, request.POST.get("model", ""))
            audit.record(request.user.get_username(), "try", self.kind, row.pk, why=f"{row}: {'answered' if ended.ok else 'failed'}")
            if not ended.ok:
                raise WrongState(f"No answer: {ended.said}" + (f" ({ended.model}, {ended.seconds:.2f} s)" if ended.seconds else ""))
            return f"{ended.model} answered in {ended.seconds:.2f} s: “{ended.said}”"

        return door(request, CHANGE, act, reverse("admin:breakers_aiprovider_change", args=[pk]))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, and the next step where it is empty."""
        env = current().ai
        more = {"none": not AiProvider.objects.exists(), "environment": env.base_url or "", "environment_model": env.model or ""}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The form, with the try-out, the keys and the models."""
        row = AiProvider.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        may = request.user.has_perm
        facts: dict[str, Any] = {"row": row, "may_manage": may(CHANGE), "may_keys": may("breakers.add_aicredential")}
        if row is not None:
            facts |= {"keys": row.credentials.all(), "models": AiModel.objects.filter(provider=row)}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **facts})


class CredentialForm(forms.ModelForm):  # type: ignore[type-arg]
    """The secret is written once and never shown."""

    entered = forms.CharField(
        label="Key",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text="As the provider gave it to you. It is kept sealed; only its last four characters are shown.",
    )

    class Meta:
        model = AiCredential
        fields = ("provider", "label", "position")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.provider_id is not None:
            self.fields.pop("entered", None)

    def clean_entered(self) -> str:
        """Sealed into the row at once."""
        try:
            ai_keys.set_secret(self.instance, self.cleaned_data["entered"])
        except ai_keys.UnfitKey as error:
            raise ValidationError(str(error)) from error
        return ""


@admin.register(AiCredential)
class AiCredentialAdmin(AuditedAdmin):
    """A key is added, put in order, retired, revived, removed; another secret is another key."""

    kind = "ai key"
    form = CredentialForm
    list_display = ("label", "provider", "shown_key", "position", "shown_state", "why", "used")
    list_filter = ("provider", "state")
    search_fields = ("label", "provider__name")
    change_form_template = "admin/ai/credential.html"
    change_list_template = "admin/ai/credentials.html"

    @display(description="Key")
    def shown_key(self, row: AiCredential) -> str:
        """What may be seen of it."""
        return f"…{row.last_four}"

    @display(description="State", ordering="state")
    def shown_state(self, row: AiCredential) -> str:
        """Colour and word, and since when."""
        return format_html("{} {}", state(row.state), ago(row.changed_at) if row.changed_at else "")

    @display(description="Last used", ordering="last_used_at")
    def used(self, row: AiCredential) -> str:
        """How long ago."""
        return ago(row.last_used_at)

    def get_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """The secret only where it is new."""
        return ("provider", "label", "position") if obj else ("provider", "label", "entered", "position")

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """It does not move to another provider: that would send it to strangers."""
        return ("provider",) if obj else ()

    def get_urls(self) -> list[Any]:
        """Our own doors before Django's."""
        view = self.admin_site.admin_view
        doors = {"retire": self.retire, "revive": self.revive, "lift": self.lift}
        return [path(f"<uuid:pk>/{name}/", view(act), name=f"ai_key_{name}") for name, act in doors.items()] + super().get_urls()

    def retire(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Out of use, everywhere."""
        return self._turn(request, pk, "retire", "Retired: no process uses it from now on.")

    def revive(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """In use again."""
        return self._turn(request, pk, "revive", "Revived: it is used again, in its order.")

    def lift(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Its rest is over."""
        row = get_object_or_404(AiCredential, pk=pk)

        def act() -> str:
            why = require_reason(request.POST.get("why", ""))
            if not ai_keys.lift(row):
                raise WrongState("It is out of use: revive it.")
            self.record(request, "lift", row, why)
            return "It is asked again at once, in every process."

        return door(request, CHANGE_KEYS, act, reverse("admin:breakers_aicredential_change", args=[pk]))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The form, with its state and the doors."""
        try:
            row = AiCredential.objects.filter(pk=UUID(object_id)).first()
        except ValueError:
            row = None
        facts = {"row": row, "may_manage": request.user.has_perm(CHANGE_KEYS), "rests": rests_of(row) if row else []}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **facts})

    def _turn(self, request: HttpRequest, pk: UUID, action: str, done: str) -> HttpResponse:
        row = get_object_or_404(AiCredential, pk=pk)

        def act() -> str:
            why = require_reason(request.POST.get("why", ""))
            turn = ai_keys.retire if action == "retire" else ai_keys.revive
            if not turn(row, f"{request.user.get_username()}: {why}"):
                raise WrongState(f"It is {row.state} already.")
            self.record(request, action, row, why)
            return done

        return door(request, CHANGE_KEYS, act, reverse("admin:breakers_aicredential_change", args=[pk]))


def rests_of(row: AiCredential) -> list[tuple[str, datetime]]:
    """For which models it rests, because its provider asked for a pause, and until when."""
    lifted = int(row.lifted_at.timestamp()) if row.lifted_at else 0
    start, now = name_of((str(row.pk), ""), lifted), timezone.now()
    resting = [view for view in registry.default.views() if view.name.startswith(start) and view.remaining_ms > 0]
    return [(view.name.removeprefix(start), now + timedelta(milliseconds=view.remaining_ms)) for view in resting]
