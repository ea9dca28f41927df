"""The page of callers: whose code must be changed, and where."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from healing.dashboard.callers import callers
from schema_monitor.traffic import DAYS, known

VIEW = "healing.view_apikey"


def page(request: HttpRequest) -> HttpResponse:
    """Every caller of the last days. Names of tables and keys are not for everybody."""
    if not request.user.has_perm(VIEW) or not request.user.has_perm("healing.view_quarantineitem"):
        raise PermissionDenied
    shared = {**admin.site.each_context(request), "title": "Callers", "content_title": "Callers"}
    return TemplateResponse(request, "admin/dashboard/callers.html", {**shared, "callers": callers(), "days": DAYS, "known": known()})
