"""``doctor`` as a page: every part that was looked at, and how to mend what is broken. Here, since only the site knows all parts."""

from __future__ import annotations

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.cache import add_never_cache_headers

from resilience_site.config import config
from resilience_site.examine import examine

VIEW = "metrics.view_trigger"


def system(request: HttpRequest) -> HttpResponse:
    """The page at once, its findings (``?part=checks``) a moment later: a part that is away is waited for."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    if request.GET.get("part") != "checks":
        shared = {**admin.site.each_context(request), "title": "System", "content_title": "System"}
        return TemplateResponse(request, "admin/dashboard/system.html", shared)
    found = sorted(examine(config()), key=lambda finding: finding.ok)
    answer = TemplateResponse(request, "admin/dashboard/_checks.html", {"findings": found, "broken": sum(not each.ok for each in found)})
    add_never_cache_headers(answer)
    return answer
