"""The app's name for people."""

from __future__ import annotations

from django.apps import AppConfig


class MetricsConfig(AppConfig):
    """What was observed, counted and judged."""

    name = "metrics"
    verbose_name = "Metrics"
    default_auto_field = "django.db.models.BigAutoField"
