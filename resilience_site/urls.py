"""Where Django answers. The data API never gets here: ``asgi`` hands it to the fast path first."""

from __future__ import annotations

import django_rq.urls
from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from healing.admin import callers, functions
from healing.admin.queues import guarded
from healing.api_metrics import scrape
from resilience_site.system_page import system

handler404 = "resilience_site.nowhere.nowhere"
urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    # before the admin, whose last pattern takes everything
    path("admin/queues/", include((guarded(django_rq.urls.urlpatterns), "django_rq"))),
    path("admin/callers/", admin.site.admin_view(callers.page), name="callers"),
    path("admin/functions/", admin.site.admin_view(functions.page), name="functions"),
    path("admin/system/", admin.site.admin_view(system), name="system"),
    path("admin/", admin.site.urls),
    path("api/v1/", include("healing.urls")),
    path("metrics", scrape),
]
