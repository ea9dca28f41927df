"""Orders to take back what a rule did: how far, what was in conflict and why, pause, cancel."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.decorators import display

from healing.admin.doors import ReadOnlyAdmin, door, row_or_404
from healing.models import Rule, TakeBack, TakeBackItem
from healing.permits import REPLAY, TAKE_BACK_AS_SERVICE
from healing.take_back import orders
from healing.templatetags.mendgate import ago, state

MOST_SHOWN = 100


@admin.register(TakeBack)
class TakeBackAdmin(ReadOnlyAdmin):
    """Orders, newest first."""

    list_display = ("rule", "shown_state", "asked_by", "ordered")
    list_filter = ("state",)
    change_form_template = "admin/healing/take_back.html"

    @display(description="State", ordering="state")
    def shown_state(self, order: TakeBack) -> str:
        """Colour and word."""
        return state(order.state)

    @display(description="Ordered", ordering="created_at")
    def ordered(self, order: TakeBack) -> str:
        """How long ago."""
        return ago(order.created_at)

    def get_urls(self) -> list[Any]:
        """Our own pages before Django's."""
        view = self.admin_site.admin_view
        own = [
            path("of/<uuid:pk>/", view(self.order), name="healing_take_back"),
            path("<uuid:pk>/steer/", view(self.steer), name="healing_steer_take_back"),
            path("<uuid:pk>/service/", view(self.service), name="healing_take_back_service"),
            path("<uuid:pk>/progress/", view(self.progress), name="healing_take_back_progress"),
        ]
        return own + super().get_urls()

    def order(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Gives one, for a rule."""
        back = [reverse("admin:healing_rule_change", args=[pk])]

        def act() -> str:
            made = orders.order(get_object_or_404(Rule, pk=pk), request.user, request.POST.get("why", ""))
            back[0] = reverse("admin:healing_takeback_change", args=[made.pk])
            return "Ordered; the rule is retired, and this page shows how far it is."

        answer = door(request, REPLAY, act, back[0])
        if answer.status_code == 302:
            answer["Location"] = back[0]
        return answer

    def steer(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Pause, resume, cancel."""

        def act() -> str:
            action = request.POST.get("action", "")
            orders.steer(get_object_or_404(TakeBack, pk=pk), action, request.user)
            return {"pause": "Paused.", "resume": "Goes on.", "cancel": "Cancelled; what is taken back stays taken back."}[action]

        return door(request, REPLAY, act, reverse("admin:healing_takeback_change", args=[pk]))

    def service(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """What was not taken back, tried as service_role."""

        def act() -> str:
            count = orders.as_service(get_object_or_404(TakeBack, pk=pk), request.user, request.POST.get("why", ""))
            return f"{count} writes are tried again as service_role."

        return door(request, TAKE_BACK_AS_SERVICE, act, reverse("admin:healing_takeback_change", args=[pk]))

    def progress(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The part of the page that renews itself."""
        self.require_view(request)
        return TemplateResponse(request, "admin/healing/_take_back_progress.html", facts(get_object_or_404(TakeBack, pk=pk)))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One order with what was not taken back."""
        self.require_view(request)
        order = row_or_404(TakeBack.objects.select_related("rule", "asked_by"), object_id)
        left = order.items.filter(state__in=[TakeBackItem.State.CONFLICT, TakeBackItem.State.REFUSED])
        untried = left.filter(as_service=False).count()
        context = {
            **self.admin_site.each_context(request), "title": str(order.rule), "opts": self.opts, **facts(order), "left": left[:MOST_SHOWN],
            "taken": order.items.filter(state=TakeBackItem.State.UNDONE).order_by("-ended_at")[:20],
            "may_steer": request.user.has_perm(REPLAY), "untried": untried,
            "may_serve": request.user.has_perm(TAKE_BACK_AS_SERVICE) and untried and order.state in ("running", "paused", "done"),
        }  # fmt: skip
        return TemplateResponse(request, self.change_form_template, context)


def facts(order: TakeBack) -> dict[str, Any]:
    """The order and how far it is."""
    return {"order": order, "progress": orders.progress(order), "moving": order.state == TakeBack.State.RUNNING}
