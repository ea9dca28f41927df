"""The app's name for people."""

from __future__ import annotations

from django.apps import AppConfig


class BreakersConfig(AppConfig):
    """Circuit breakers and the AI gateway."""

    name = "breakers"
    verbose_name = "Breakers and AI"
    default_auto_field = "django.db.models.BigAutoField"
