"""Something that is so for a while and that people want to be told of: from when it began to when it was over."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import models
from django.db.models import Q

from schema_monitor.alerts.models import Level


class Notice(models.Model):
    """One row from beginning to end; at most one of a kind about one thing is open. Made by ``alerts.notices``."""

    kind = models.CharField(max_length=60, help_text="What subscriptions choose by: trigger.burn_rate, breaker.open")
    about = models.CharField(max_length=200, blank=True, default="", help_text="Tells several of one kind apart.")
    severity = models.CharField(max_length=10, choices=Level.choices)
    sentence = models.TextField()
    step = models.TextField(blank=True, default="", help_text="What to do next, in a sentence.")
    path = models.CharField(max_length=300, blank=True, default="", help_text="The page that shows it, from /.")
    facts = models.JSONField(default=dict, blank=True)
    began = models.DateTimeField()
    ended = models.DateTimeField(null=True)
    settled = models.DateTimeField(null=True, help_text="From then on its end is told; what begins anew before goes on as this one.")
    outcome = models.TextField(blank=True, default="", help_text="How it ended, in a sentence.")

    class Meta:
        app_label = "schema_monitor"
        ordering = ["-id"]
        constraints = [models.UniqueConstraint(fields=["kind", "about"], condition=Q(ended=None), name="a_notice_is_open_once")]
        indexes = [models.Index(fields=["kind", "about", "-id"], name="notices_about_a_thing")]

    def __str__(self) -> str:
        return self.sentence

    def lasted(self, now: datetime) -> timedelta:
        """How long it has been so."""
        return (self.ended or now) - self.began
