"""Scans of edge functions as they were kept: the numbers of the burn-down, and for the newest also what was found."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models.functions import Now


class ScanRun(models.Model):
    """One scan of one folder. The counts stay; functions, order and findings are kept for the newest scans only."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    folder = models.CharField(max_length=500, help_text="As it was named: scans of one folder are one burn-down.")
    epoch = models.IntegerField(help_text="The schema version that it was held against.")
    direct = models.IntegerField(help_text="Functions that call everything directly.")
    partly = models.IntegerField()
    moved = models.IntegerField()
    nothing = models.IntegerField(help_text="Functions that call neither the database nor AI services.")
    calls = models.IntegerField()
    writes = models.IntegerField()
    ai = models.IntegerField()
    errors = models.IntegerField()
    warnings = models.IntegerField()
    notes = models.IntegerField()
    functions = models.JSONField(default=list)
    order = models.JSONField(default=list)
    findings = models.JSONField(default=list)

    class Meta:
        verbose_name = "function scan"
        ordering = ["-created_at", "-id"]
        indexes = [models.Index(fields=["folder", "-created_at"], name="scans_of_a_folder")]

    def __str__(self) -> str:
        return f"{self.folder} {self.created_at:%Y-%m-%d %H:%M}"

    @property
    def to_move(self) -> int:
        """Functions that still call something directly."""
        return self.direct + self.partly

    @property
    def share(self) -> float:
        """The part that is moved of those with something to move, in percent."""
        total = self.to_move + self.moved
        return 100.0 if not total else 100 * self.moved / total
