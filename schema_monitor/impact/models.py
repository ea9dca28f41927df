"""Who tried which DDL out, and what came of it."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class ImpactCheck(models.Model):
    """One check. It ran on a copy; nothing of the target changed."""

    id = models.BigAutoField(primary_key=True)
    at = models.DateTimeField(db_default=Now())
    by = models.CharField(max_length=200, help_text="A user, or an API key by name.")
    ddl = models.TextField()
    epoch = models.BigIntegerField(null=True, help_text="The version that was copied; empty where the check could not be made.")
    outcome = models.CharField(
        max_length=20, help_text="fits, heals, depends, needs_rule or breaks; refused by the database; stopped; failed."
    )

    class Meta:
        app_label = "schema_monitor"
        ordering = ["-id"]

    def __str__(self) -> str:
        return f"{self.by}: {self.outcome}"
