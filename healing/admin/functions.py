"""The page of edge functions: how many are moved, what to move next, what is wrong in them."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from healing.scan_progress import progress

VIEW = "healing.view_scanrun"
ROWS = 50


def page(request: HttpRequest) -> HttpResponse:
    """``?folder=``: which folder's burn-down; ``?page=``: of the findings."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    found = progress(request.GET.get("folder", ""))
    rows = Paginator(found.findings if found else (), ROWS).get_page(request.GET.get("page"))
    shared = {**admin.site.each_context(request), "title": "Functions", "content_title": "Functions"}
    return TemplateResponse(request, "admin/functions/functions.html", {**shared, "found": found, "rows": rows})
