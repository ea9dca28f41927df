"""Game days: who ran one, how it went, its report as a page. Here, since only the site can build a scratch Mendgate."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import UUID

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.html import format_html
from unfold.decorators import display

from healing.admin.doors import ReadOnlyAdmin, door, download, row_or_404
from healing.models import GameDay
from healing.templatetags.mendgate import ago, badge, state
from resilience_site.config import config
from resilience_site.gameday import belief, picture, rows
from resilience_site.gameday.allowed import why_not
from resilience_site.gameday.faults import FAULTS

MOST_SHOWN = 60


@admin.register(GameDay)
class GameDayAdmin(ReadOnlyAdmin):
    """The list, with the button; one day."""

    list_display = ("shown", "how", "believed", "counted", "asked_by", "when")
    list_filter = ("state", "verdict")
    change_list_template = "admin/gameday/list.html"
    change_form_template = "admin/gameday/day.html"

    @display(description="Faults")
    def shown(self, row: GameDay) -> str:
        """Which there were."""
        return f"{len(row.faults)} faults" if len(row.faults) > 3 else ", ".join(row.faults)

    @display(description="Verdict", ordering="verdict")
    def how(self, row: GameDay) -> str:
        """Colour and word; what nobody vouches for is only what the row says."""
        if row.state == GameDay.State.DONE and belief.doubt_in_list(row):
            return badge(f"says {row.verdict or 'nothing'}", "")
        return state(row.verdict or row.state)

    @display(description="Signature")
    def believed(self, row: GameDay) -> str:
        """Whether the verdict is what this installation signed."""
        if row.state != GameDay.State.DONE:
            return "–"
        doubt = belief.doubt_in_list(row)
        if not doubt:
            return badge("signature holds", "active")
        word, colour = ("unsigned", "waiting") if doubt == belief.UNSIGNED else ("not to be believed", "failed")
        return format_html('{} <span class="mg-quiet">{}</span>', badge(word, colour), doubt)

    @display(description="Requests")
    def counted(self, row: GameDay) -> str:
        """How many were accounted for."""
        return f"{row.requests:,}, {row.unexplained} unexplained" if row.state == "done" else "–"

    @display(description="When", ordering="created_at")
    def when(self, row: GameDay) -> str:
        """How long ago."""
        return ago(row.created_at)

    def get_queryset(self, request: HttpRequest) -> QuerySet[GameDay]:
        """Without the reports: each is large."""
        return belief.hashed(super().get_queryset(request))

    def get_urls(self) -> list[Any]:
        """The button, a day's progress and its file."""
        view = self.admin_site.admin_view
        own = [
            path("begin/", view(self.begin), name="healing_gameday_begin"),
            path("<uuid:pk>/progress/", view(self.progress), name="healing_gameday_progress"),
            path("<uuid:pk>/report.json", view(self.file), name="healing_gameday_file"),
        ]
        return own + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """With what can be chosen, or why not."""
        self.require_view(request)
        more = {"faults": FAULTS, "refused": why_not(config()), "may_begin": request.user.has_perm(rows.ADD)}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def begin(self, request: HttpRequest) -> HttpResponse:
        """Asked for, and begun in a process of its own."""

        def act() -> str:
            row = rows.ask(request.user, config(), request.POST.getlist("fault"))
            rows.begin(row)
            return "It has begun: a scratch Mendgate is made, which takes a moment."

        return door(request, rows.ADD, act, reverse("admin:healing_gameday_changelist"))

    def progress(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """How far it is; renews itself."""
        self.require_view(request)
        return TemplateResponse(request, "admin/gameday/_progress.html", {"row": row_or_404(GameDay.objects, str(pk))})

    def file(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The report as it was signed."""
        self.require_view(request)
        row = row_or_404(GameDay.objects.exclude(signed=""), str(pk))
        return download([row.signed], f"gameday-{row.pk}.json", "application/json")  # type: ignore[return-value]

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One day: each fault with its picture, counts and verdict."""
        self.require_view(request)
        row = row_or_404(GameDay.objects, object_id)
        context = {**self.admin_site.each_context(request), "title": "Game day", "opts": self.opts, "row": row, **_told(row)}
        return TemplateResponse(request, self.change_form_template, context)


def _told(row: GameDay) -> dict[str, Any]:
    """What the page says, all of it out of what was signed; only ``doubt`` where that cannot be read."""
    doubt = belief.doubt_of(row) if row.state == GameDay.State.DONE else ""
    try:
        return {"doubt": doubt, **(_read(json.loads(row.signed)) if row.signed else {})}
    except (KeyError, TypeError, ValueError, AttributeError, ZeroDivisionError):
        return {"doubt": doubt or "This is no report of a game day."}


def _read(whole: dict[str, Any]) -> dict[str, Any]:
    report = whole["report"]
    strange = [each for each in report["requests"] if each["end"] == "unexplained" or len(each["answers"]) > 1]
    strange.sort(key=lambda each: (each["end"] != "unexplained", -len(each["answers"])))
    return {
        "report": report, "began": datetime.fromisoformat(report["began"]), "key": whole["signature"]["key"],
        "parts": [(each, picture.drawn(each)) for each in report["faults"]], "strange": strange[:MOST_SHOWN], "many": len(strange),
    }  # fmt: skip
