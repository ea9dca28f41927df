"""The app's name for people."""

from __future__ import annotations

from django.apps import AppConfig


class SchemaMonitorConfig(AppConfig):
    """The schema monitor."""

    name = "schema_monitor"
    verbose_name = "Schema"
    default_auto_field = "django.db.models.BigAutoField"
