"""The app's name for people."""

from __future__ import annotations

from django.apps import AppConfig


class OptimizerConfig(AppConfig):
    """What tunes itself, how it was tried, and what came of it."""

    name = "optimizer"
    verbose_name = "Optimizer"
    default_auto_field = "django.db.models.BigAutoField"
