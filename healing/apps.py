"""The healing app: its models, its doors, and what must be wired at start."""

from __future__ import annotations

from django.apps import AppConfig


class HealingConfig(AppConfig):
    """Healing: rules, quarantine, receipts, keys, policies."""

    name = "healing"
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        """Wakes waiting writes, and judges anew what was decided, when the schema changes."""
        from healing import breaker_alerts, certification, observed, schema_changed, suggested_renames, trigger_alerts, wake
        from healing.schema_fixes import landing

        wake.connect()
        certification.connect()
        observed.connect()
        schema_changed.connect()
        suggested_renames.connect()
        trigger_alerts.connect()
        breaker_alerts.connect()
        landing.connect()
