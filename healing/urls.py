"""Everything under ``/api/v1/`` that Django answers."""

from __future__ import annotations

from django.urls import path

from healing.api import api

urlpatterns = [path("", api.urls)]
