"""That a person has looked at a change: it needs nobody any more."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class SeenChange(models.Model):
    """One row a change that somebody has put aside."""

    change = models.OneToOneField("schema_monitor.SchemaChange", primary_key=True, on_delete=models.CASCADE, related_name="seen")
    by = models.CharField(max_length=150)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        app_label = "schema_monitor"

    def __str__(self) -> str:
        return f"{self.by}, {self.at}"
