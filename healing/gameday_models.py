"""Game days: who asked for one, how far it is, and its signed report. What runs them is ``resilience_site.gameday``."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class GameDay(models.Model):
    """One. ``signed`` is the report's text as it was signed."""

    class State(models.TextChoices):
        DUE = "due"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed", "failed: it could not be carried out"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    asked_by = models.CharField(max_length=150)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DUE)
    faults = models.JSONField(default=list)
    seed = models.BigIntegerField()
    alive_at = models.DateTimeField(db_default=Now(), help_text="When it last said how far it is.")
    progress = models.TextField(blank=True, default="")
    finished_at = models.DateTimeField(null=True, blank=True)
    verdict = models.CharField(max_length=10, blank=True, default="", help_text="held or broke")
    requests = models.PositiveIntegerField(default=0)
    unexplained = models.PositiveIntegerField(default=0)
    signed = models.TextField(blank=True, default="")
    why = models.TextField(blank=True, default="", help_text="Why it failed.")

    class Meta:
        verbose_name = "game day"
        ordering = ["-created_at"]
        default_permissions = ("view", "add")
        constraints = [
            models.UniqueConstraint(fields=["state"], condition=Q(state="running"), name="one_game_day_at_a_time"),
        ]

    def __str__(self) -> str:
        return f"{self.verdict or self.state} {self.created_at:%Y-%m-%d %H:%M}"
