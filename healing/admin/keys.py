"""API keys: shown once, then only their prefix."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from unfold.admin import ModelAdmin
from unfold.decorators import display
from unfold.widgets import UnfoldAdminCheckboxSelectMultipleWidget

from healing import audit, keys_admin
from healing.admin.doors import door
from healing.keys_admin import QUOTA, limits_of
from healing.models import ApiKey
from healing.notify import notify
from healing.permits import CHANGE_KEY
from healing.templatetags.mendgate import ago, state

SCOPES = (
    ("data", "data: tables, functions, transactions"),
    ("ai", "ai: calls to AI models"),
    ("api", "api: receipts, quarantine, schema, breakers"),
    ("breakers", "breakers: ask and report"),
    ("metrics", "metrics: figures for Prometheus"),
)


class KeyForm(forms.ModelForm):  # type: ignore[type-arg]
    """An empty limit is no limit, no scope is every scope."""

    scopes = forms.MultipleChoiceField(
        choices=SCOPES,
        required=False,
        widget=UnfoldAdminCheckboxSelectMultipleWidget,
        help_text="None = everything its role may do.",
    )

    def clean(self) -> dict[str, Any]:
        """Fills in what was left empty."""
        given = super().clean() or {}
        return {**given, **{name: given.get(name) or 0 for name in QUOTA}}


@admin.register(ApiKey)
class KeyAdmin(ModelAdmin):  # type: ignore[misc]
    """Keys are revoked, never deleted: the record of what they wrote points at them."""

    form = KeyForm
    list_display = ("name", "shown_prefix", "shown_role", "shown_state", "used", "created_at")
    list_filter = ("role",)
    search_fields = ("name", "prefix")
    fields = ("name", "role", "scopes", "expires_at", *QUOTA)
    actions = None
    change_form_template = "admin/healing/key.html"

    @display(description="Key")
    def shown_prefix(self, key: ApiKey) -> str:
        """What can be recognised."""
        return f"mg_{key.prefix}_…"

    @display(description="Role", ordering="role")
    def shown_role(self, key: ApiKey) -> str:
        """As the database calls it."""
        return key.role

    @display(description="State")
    def shown_state(self, key: ApiKey) -> str:
        """Active, expired or revoked."""
        return state(state_of(key))

    @display(description="Last used", ordering="last_used_at")
    def used(self, key: ApiKey) -> str:
        """How long ago."""
        return ago(key.last_used_at)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Revoke instead."""
        return False

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> tuple[str, ...]:
        """A key's role never changes: who holds it would gain or lose rights unseen."""
        return ("role",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Through the model layer, which hashes, audits and notifies."""
        who = request.user.get_username()
        if change:
            obj.save(update_fields=["name", "scopes", "expires_at", *QUOTA])
            audit.record(who, "change", "key", obj.pk, why=f"{obj.name}, expires {obj.expires_at or 'never'}, {limits_of(obj)}")
            notify("keys")
            return
        quota = {name: getattr(obj, name) for name in QUOTA}
        text, made = keys_admin.create_key(obj.name, obj.role, expires_at=obj.expires_at, scopes=obj.scopes, who=who, **quota)
        obj.__dict__.update(made.__dict__)
        obj.shown_once = text

    def response_add(self, request: HttpRequest, obj: Any, post_url_continue: str | None = None) -> HttpResponse:
        """The one page that shows the key."""
        return self._show_once(request, obj, obj.shown_once)

    def get_urls(self) -> list[Any]:
        """Our own doors before Django's."""
        view = self.admin_site.admin_view
        own = [
            path("<uuid:pk>/revoke/", view(self.revoke), name="healing_revoke_key"),
            path("<uuid:pk>/rotate/", view(self.rotate), name="healing_rotate_key"),
        ]
        return own + super().get_urls()

    def revoke(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Ends a key now."""

        def act() -> str:
            keys_admin.revoke_key(get_object_or_404(ApiKey, pk=pk), request.user.get_username(), request.POST.get("why", ""))
            return "Revoked; every process refuses it from now on."

        return door(request, CHANGE_KEY, act, reverse("admin:healing_apikey_change", args=[pk]))

    def rotate(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """A new text for the same key, shown once."""
        key, text = get_object_or_404(ApiKey, pk=pk), ""

        def act() -> str:
            nonlocal text
            text = keys_admin.rotate_key(key, request.user.get_username())
            return "Rotated; the old key no longer works."

        answer = door(request, CHANGE_KEY, act, reverse("admin:healing_apikey_change", args=[pk]))
        return self._show_once(request, key, text) if text else answer

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The form, with the doors beside it."""
        key = self.get_object(request, unquote(object_id))
        may = key is not None and key.revoked_at is None and request.user.has_perm(CHANGE_KEY)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "key": key, "may_change_key": may})

    def _show_once(self, request: HttpRequest, key: ApiKey, text: str) -> HttpResponse:
        context = {**self.admin_site.each_context(request), "title": "Your key", "opts": self.opts, "key": key, "text": text}
        answer = TemplateResponse(request, "admin/healing/key_once.html", context)
        add_never_cache_headers(answer)
        return answer


def state_of(key: ApiKey) -> str:
    """One word."""
    if key.revoked_at is not None:
        return "revoked"
    return "expired" if key.expires_at is not None and key.expires_at < timezone.now() else "active"
