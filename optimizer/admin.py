"""The optimization log, and its doors: run now, approve, reject, take back, schedule. Each parses, calls one function, renders."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse

from healing.admin.doors import ReadOnlyAdmin, door
from healing.refusals import DoesNotFit
from optimizer import decisions, log, runs, schedule
from optimizer.models import OptimizationRun, Proposal, Schedule, Setting
from optimizer.steps import TARGETS

RUN = "optimizer.add_optimizationrun"
_LOG = "admin:optimizer_proposal_changelist"


@admin.register(Proposal)
class LogAdmin(ReadOnlyAdmin):
    """The list is the log."""

    def get_urls(self) -> list[Any]:
        """Our own doors before Django's."""
        view = self.admin_site.admin_view
        own = [
            path("run/", view(self.run), name="optimizer_run"),
            path("schedule/", view(self.set_schedule), name="optimizer_schedule"),
            path("setting/<int:pk>/", view(self.switch), name="optimizer_switch"),
            path("<uuid:pk>/decide/", view(self.decide), name="optimizer_decide"),
        ]
        return [*own, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Everything that the optimizer did and wants."""
        self.require_view(request)
        asked = {name: request.GET.get(name, "") for name in ("state", "kind")}
        context = {
            **self.admin_site.each_context(request), "title": "Optimization log", "content_title": "Optimization log", "opts": self.opts,
            "lines": log.lines(**asked), "asked": asked, "states": Proposal.State.values, "kinds": log.KINDS.items(),
            "running": log.running(), "settings": log.settings(), "calibrations": log.calibrations(), "targets": TARGETS,
            "days": Schedule._meta.get_field("weekday").choices, "runs": OptimizationRun.objects.all()[:5], "schedule": schedule.load(),
            "waiting": sum(x.can_decide for x in log.lines("open")),
            "may_run": request.user.has_perm(RUN), "may_decide": request.user.has_perm(decisions.DECIDE),
            "may_schedule": request.user.has_perm(schedule.CHANGE), "may_switch": request.user.has_perm(decisions.SWITCH),
        }  # fmt: skip
        return TemplateResponse(request, "admin/optimizer/log.html", context)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One proposal: its evidence and its decisions."""
        self.require_view(request)
        row = get_object_or_404(Proposal.objects.filter(pk=object_id) if _is_id(object_id) else Proposal.objects.none())
        context = {
            **self.admin_site.each_context(request), "title": log.KINDS.get(row.kind, row.kind), "opts": self.opts, "line": log._line(row),
            "decisions": row.decisions.all(), "experiment": getattr(row, "experiment", None),
            "may_decide": request.user.has_perm(decisions.DECIDE),
        }  # fmt: skip
        return TemplateResponse(request, "admin/optimizer/proposal.html", context)

    def run(self, request: HttpRequest) -> HttpResponse:
        """A run, now."""

        def act() -> str:
            target = request.POST.get("target", "all")
            if target not in TARGETS:
                raise DoesNotFit(f"There is no part {target!r}.")
            run, new = runs.ask(target, OptimizationRun.Reason.HAND, request.user.get_username())
            return f"A run of {run.target} was asked for; it begins within seconds." if new else "A run of it is under way already."

        return door(request, RUN, act, reverse(_LOG))

    def decide(self, request: HttpRequest, pk: Any) -> HttpResponse:
        """Approve, reject or take back."""

        def act() -> str:
            row, why = get_object_or_404(Proposal, pk=pk), request.POST.get("why", "")
            match request.POST.get("do"):
                case "approve":
                    return decisions.approve(row, request.user, why)
                case "reject":
                    decisions.reject(row, request.user, why)
                    return "Rejected; the same is not proposed again."
                case "back":
                    decisions.roll_back(row, request.user, why)
                    return "Taken back; what was before is in force, and that direction rests for four weeks."
            raise DoesNotFit("Approve, reject or take back.")

        return door(request, decisions.DECIDE, act, reverse(_LOG))

    def set_schedule(self, request: HttpRequest) -> HttpResponse:
        """Another hour of the week."""

        def act() -> str:
            try:
                day, hour = int(request.POST.get("weekday", "")), int(request.POST.get("hour", ""))
            except ValueError:
                raise DoesNotFit("A schedule is a day of the week and an hour from 0 to 23.") from None
            return f"It runs: {schedule.change(day, hour, 'on' in request.POST, request.user)}."

        return door(request, schedule.CHANGE, act, reverse(_LOG))

    def switch(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Whether a setting's steps are tried unasked."""

        def act() -> str:
            automatic = request.POST.get("automatic") == "yes"
            decisions.switch(get_object_or_404(Setting, pk=pk), automatic, request.user)
            return "Its steps are tried by themselves, within the guardrails." if automatic else "Its steps wait for a person."

        return door(request, decisions.SWITCH, act, reverse(_LOG))

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """With the permission only."""
        if not request.user.is_active:
            raise PermissionDenied
        return bool(super().has_view_permission(request, obj))


def _is_id(text: str) -> bool:
    return len(text) == 36 and text.count("-") == 4 and all(c in "0123456789abcdef-" for c in text)
