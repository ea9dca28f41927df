"""The impact check: what a piece of DDL would do to the callers of the last days, before anybody runs it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse

from healing.admin.schema_pages import page, viewing


@viewing
def impact(request: HttpRequest) -> HttpResponse:
    """The form, and what came out."""
    return page(request, "impact", "Impact check")
