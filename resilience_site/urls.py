"""Where Django answers. The data API never gets here: ``asgi`` hands it to the fast path first."""

from __future__ import annotations

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index")),
    path("admin/queues/", include("django_rq.urls")),  # before the admin, whose last pattern takes everything
    path("admin/", admin.site.urls),
    path("api/v1/", include("healing.urls")),
]
