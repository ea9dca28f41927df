"""Replays under way: how far, how fast, pause, cancel."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from unfold.decorators import display

from healing import replay_orders
from healing.admin.doors import ReadOnlyAdmin, door, row_or_404
from healing.models import Replay
from healing.permits import REPLAY
from healing.templatetags.mendgate import ago, state

MOST_SHOWN = 50


@admin.register(Replay)
class ReplayAdmin(ReadOnlyAdmin):
    """Orders, newest first."""

    list_display = ("why", "shown_state", "total", "asked_by", "ordered")
    list_filter = ("state", "automatic")
    change_form_template = "admin/healing/replay.html"

    @display(description="State", ordering="state")
    def shown_state(self, order: Replay) -> str:
        """Colour and word."""
        return state(order.state)

    @display(description="Ordered", ordering="created_at")
    def ordered(self, order: Replay) -> str:
        """How long ago."""
        return ago(order.created_at)

    def get_urls(self) -> list[Any]:
        """Our own pages before Django's."""
        view = self.admin_site.admin_view
        own = [
            path("<uuid:pk>/steer/", view(self.steer), name="healing_steer_replay"),
            path("<uuid:pk>/progress/", view(self.progress), name="healing_replay_progress"),
        ]
        return own + super().get_urls()

    def steer(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Pause, resume, cancel."""

        def act() -> str:
            action = request.POST.get("action", "")
            replay_orders.steer(get_object_or_404(Replay, pk=pk), action, request.user)
            return {"pause": "Paused.", "resume": "Goes on.", "cancel": "Cancelled; the rest keeps waiting."}[action]

        return door(request, REPLAY, act, reverse("admin:healing_replay_change", args=[pk]))

    def progress(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The part of the page that renews itself."""
        self.require_view(request)
        return TemplateResponse(request, "admin/healing/_progress.html", facts(get_object_or_404(Replay, pk=pk)))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One order."""
        self.require_view(request)
        order = row_or_404(Replay, object_id)
        context = {
            **self.admin_site.each_context(request), "title": str(order), "opts": self.opts, **facts(order),
            "may_replay": request.user.has_perm(REPLAY),
            "left": replay_orders.left(order, MOST_SHOWN),
        }  # fmt: skip
        return TemplateResponse(request, self.change_form_template, context)


def facts(order: Replay) -> dict[str, Any]:
    """How far an order is, how fast, how long it will take."""
    progress = replay_orders.progress(order)
    through = progress.total - progress.waiting
    seconds = max(((order.finished_at or timezone.now()) - order.created_at).total_seconds(), 0.001)
    rate = through / seconds
    left = progress.waiting / rate if rate and order.state == "running" else None
    return {"order": order, "progress": progress, "rate": rate, "left_seconds": left, "moving": order.state == "running"}
