"""What the pages of the schema monitor share: who may see them, and how they are rendered."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from healing.refusals import NotFound

VIEW = "schema_monitor.view_schemaversion"
View = Callable[..., HttpResponse]


def viewing(view: View) -> View:
    """403 without the right to see the schema; 404 for what does not exist. Give the result to ``admin_view`` still."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.has_perm(VIEW):
            raise PermissionDenied
        try:
            return view(request, *args, **kwargs)
        except NotFound as error:
            raise Http404(error.message) from error

    return guarded


def page(request: HttpRequest, template: str, title: str, **context: Any) -> HttpResponse:
    """A page inside the dashboard."""
    shared = {**admin.site.each_context(request), "title": title, "content_title": title}
    return TemplateResponse(request, f"admin/schema/{template}.html", {**shared, **context})
