"""Alerts: each message, what it told, and every attempt to deliver it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Count, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from unfold.decorators import display

from healing.admin.doors import ReadOnlyAdmin, door
from healing.admin.subscriptions import MANAGE
from healing.templatetags.mendgate import ago, state
from schema_monitor.alerts.claims import retry_now
from schema_monitor.alerts.doorbell import ring_on_commit
from schema_monitor.alerts.models import AlertMessage
from schema_monitor.models import SchemaChange

SHOWN = 50


@admin.register(AlertMessage)
class MessageAdmin(ReadOnlyAdmin):
    """The newest first; what was given up says so."""

    list_display = ("what", "subscription", "shown_state", "attempts", "when", "next_try", "last_error")
    list_filter = ("state", "subscription")
    search_fields = ("reference", "last_error", "alerts__change__sentence", "notice__sentence")
    list_select_related = ("subscription", "version", "notice")
    show_full_result_count = False
    actions = ("retry",)  # type: ignore[assignment]

    def get_queryset(self, request: HttpRequest) -> QuerySet[AlertMessage]:
        """Without the snapshots: they may be large."""
        rows: QuerySet[AlertMessage] = super().get_queryset(request).select_related("subscription", "version", "notice")
        return rows.defer("version__snapshot", "version__lineage", "version__delta").annotate(change_count=Count("alerts"))

    @display(description="Alert")
    def what(self, message: AlertMessage) -> str:
        """The version and how many changes; what was noticed; or a test."""
        if message.notice is not None:
            return f"Over: {message.notice.sentence}" if message.over else message.notice.sentence
        if message.version is None:
            return "Test"
        count = message.change_count  # type: ignore[attr-defined]
        return f"Schema version {message.version.epoch}, {count} change{'s' if count != 1 else ''}"

    @display(description="State", ordering="state")
    def shown_state(self, message: AlertMessage) -> str:
        """Colour and word."""
        return state(message.get_state_display().lower())

    @display(description="Made", ordering="made_at")
    def when(self, message: AlertMessage) -> str:
        """How long ago."""
        return ago(message.made_at)

    @display(description="Next try")
    def next_try(self, message: AlertMessage) -> str:
        """When, where it still waits."""
        return "–" if message.due_at is None else ago(max(message.due_at, timezone.now()))

    def has_manage_permission(self, request: HttpRequest) -> bool:
        """Who may change subscriptions may have their messages sent again."""
        return request.user.has_perm(MANAGE)

    @admin.action(description="Try now", permissions=["manage"])
    def retry(self, request: HttpRequest, rows: QuerySet[AlertMessage]) -> None:
        """Also what was given up; what was delivered stays."""
        self.message_user(request, _retry(list(rows.values_list("pk", flat=True))))

    def get_urls(self) -> list[Any]:
        """Our own door before Django's."""
        return [path("<int:pk>/retry/", self.admin_site.admin_view(self.retry_one), name="alerts_retry"), *super().get_urls()]

    def retry_one(self, request: HttpRequest, pk: int) -> HttpResponse:
        """The same for one."""
        return door(request, MANAGE, lambda: _retry([pk]), reverse("admin:schema_monitor_alertmessage_change", args=[pk]))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One message with its changes and attempts."""
        self.require_view(request)
        message = get_object_or_404(self.get_queryset(request), pk=object_id if object_id.isdecimal() else 0)
        context = {**self.admin_site.each_context(request), "title": self.what(message), "opts": self.opts, **_facts(request, message)}
        return TemplateResponse(request, "admin/healing/alert.html", context)


def _retry(ids: list[int]) -> str:
    count = retry_now(ids)
    if count:
        ring_on_commit()
    return f"{count} will be tried now." if count else "There is nothing to try: delivered messages and tests are not sent again."


def _facts(request: HttpRequest, message: AlertMessage) -> dict[str, Any]:
    changes = SchemaChange.objects.filter(alerts__message=message).order_by("pk")
    open_states = (AlertMessage.State.WAITING, AlertMessage.State.FAILED)
    return {
        "message": message,
        "state_word": message.get_state_display().lower(),
        "next_try": message.due_at and max(message.due_at, timezone.now()),
        "is_off": message.state == AlertMessage.State.WAITING and not message.subscription.enabled,
        "changes": changes[:SHOWN],
        "more": max(0, changes.count() - SHOWN),
        "deliveries": message.deliveries.all()[:SHOWN],
        "may_retry": request.user.has_perm(MANAGE) and message.state in open_states and not message.is_test,
    }
