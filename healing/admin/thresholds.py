"""Triggers: which fire, what they saw, and where people set their thresholds. The dashboard's own doors hang here, too."""

from __future__ import annotations

from math import isfinite
from typing import Any

from django.contrib import admin
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.decorators import display

from healing import audit
from healing.admin import dashboard, dashboard_charts
from healing.admin.doors import ReadOnlyAdmin, door
from healing.refusals import Refused
from healing.templatetags.dashboard import bound
from healing.templatetags.mendgate import ago, state
from metrics.core.triggers import LIMITS, Limit
from metrics.models import Threshold, Trigger
from metrics.triggers import limits

CHANGE = "metrics.change_threshold"
NOTE = "metrics.change_trigger"


@admin.register(Trigger)
class TriggerAdmin(ReadOnlyAdmin):
    """What fired, the newest first."""

    list_display = ("sentence", "shown_state", "began", "ended_at", "looked_at_by")
    list_filter = ("name",)
    search_fields = ("sentence", "about")
    fields = readonly_fields = ("sentence", "shown_state", "name", "about", "began", "last_seen", "ended_at", "evidence", "looked_at_by")
    change_list_template = "admin/dashboard/triggers.html"

    @display(description="State")
    def shown_state(self, row: Trigger) -> str:
        """Whether it fires."""
        return state("firing" if row.ended is None else "ended")

    @display(description="Began", ordering="since")
    def began(self, row: Trigger) -> str:
        """How long ago."""
        return ago(row.since)

    @display(description="Ended", ordering="ended")
    def ended_at(self, row: Trigger) -> str:
        """How long ago, if it has."""
        return ago(row.ended) if row.ended else "–"

    @display(description="Last seen")
    def last_seen(self, row: Trigger) -> str:
        """How long ago."""
        return ago(row.seen)

    def get_urls(self) -> list[Any]:
        """Our own pages before Django's."""
        view = self.admin_site.admin_view
        own = [
            path("live/", view(dashboard.live), name="dashboard_live"),
            path("charts/<slug:name>/", view(dashboard_charts.chart), name="dashboard_chart"),
            path("thresholds/", view(self.thresholds), name="metrics_thresholds"),
            path("thresholds/<slug:name>/", view(self.set_threshold), name="metrics_set_threshold"),
            path("<int:pk>/noted/", view(self.noted), name="metrics_noted"),
        ]
        return own + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, with what fires now and nobody took note of."""
        firing = Trigger.objects.filter(ended=None, looked_at_by="") if self.has_view_permission(request) else []
        more = {"firing": firing, "may_note": request.user.has_perm(NOTE)}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def thresholds(self, request: HttpRequest) -> HttpResponse:
        """Every threshold, with ours beside it."""
        self.require_view(request)
        ours = {limit.name: limit for limit in LIMITS}
        context = {
            **self.admin_site.each_context(request), "title": "Thresholds", "content_title": "Thresholds",
            "rows": [(limit, ours[limit.name], limit != ours[limit.name]) for limit in limits().values()],
            "may_change": request.user.has_perm(CHANGE),
        }  # fmt: skip
        return TemplateResponse(request, "admin/dashboard/thresholds.html", context)

    def set_threshold(self, request: HttpRequest, name: str) -> HttpResponse:
        """Sets one, or takes ours again."""

        def act() -> str:
            return set_threshold(name, request.POST, request.user.get_username())

        return door(request, CHANGE, act, reverse("admin:metrics_thresholds"))

    def noted(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Takes note of a trigger: it leaves the dashboard's list."""

        def act() -> str:
            who = request.user.get_username()
            with transaction.atomic():
                row = get_object_or_404(Trigger, pk=pk)
                Trigger.objects.filter(pk=row.pk).update(looked_at_by=who)
                audit.record(who, "note", "trigger", row.pk, why=row.sentence)
            return "Noted; it stays in this list until it ends."

        return door(request, NOTE, act, reverse("admin:metrics_trigger_changelist"))


@transaction.atomic
def set_threshold(name: str, form: Any, who: str) -> str:
    """Stores what a person wants of a trigger, with a decision; returns what to tell them. ``Refused`` where it makes no sense."""
    ours = next((limit for limit in LIMITS if limit.name == name), None)
    if ours is None:
        raise Refused(f"There is no trigger {name!r}.")
    now = limits()[name]
    wanted = ours if "default" in form else _wanted(ours, form)
    if wanted == now:
        return "It is as it was."
    if wanted == ours:
        Threshold.objects.filter(name=name).delete()
    else:
        Threshold.objects.update_or_create(name=name, defaults={"bound": wanted.bound, "least": wanted.least, "on": wanted.on})
    why = str(form.get("why", "")).strip()
    audit.record(who, "set", "threshold", name, why=f"{_said(now)} → {_said(wanted)}" + (f": {why}" if why else ""))
    return f"{ours.title}: {_said(wanted)}. It counts from the next look on, within half a minute."


def _wanted(ours: Limit, form: Any) -> Limit:
    try:
        value, least = float(form.get("bound", "")), int(form.get("least", ""))
    except ValueError:
        raise Refused("Nothing was changed: a bound and the fewest cases are numbers.") from None
    value = value / 100 if ours.unit == "share" else value
    if not isfinite(value) or value <= 0 or (ours.unit == "share" and value >= 1):
        raise Refused("Nothing was changed: that bound would fire always, or never.", "A share lies between 0 and 100 %.")
    if not 1 <= least <= 1_000_000:
        raise Refused("Nothing was changed: the fewest cases are 1 to 1,000,000.")
    return Limit(ours.name, ours.title, round(value, 9), ours.unit, least, "on" in form)


def _said(limit: Limit) -> str:
    unit = "%" if limit.unit == "share" else limit.unit
    return f"{bound(limit)} {unit}, from {limit.least} cases on" if limit.on else "off"
