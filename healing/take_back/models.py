"""An order to take back what a rule did, and what became of each write. The RQ job is only a doorbell, these rows are the truth."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class TakeBack(models.Model):
    """One order. A write that lands after it was given is added while the order runs."""

    class State(models.TextChoices):
        RUNNING = "running"
        PAUSED = "paused"
        CANCELLED = "cancelled"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    rule = models.ForeignKey("healing.Rule", on_delete=models.CASCADE, related_name="take_backs")
    asked_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    why = models.TextField()

    class Meta:
        app_label = "healing"
        ordering = ["-created_at"]
        verbose_name = "take-back"
        permissions = [("take_back_as_service", "Can take writes back as service_role where their writer may not")]
        constraints = [
            models.UniqueConstraint(
                fields=["rule"], condition=models.Q(state__in=["running", "paused"]), name="one_open_take_back_per_rule"
            )
        ]

    def __str__(self) -> str:
        return f"{self.state}: {self.rule}"


class TakeBackItem(models.Model):
    """One write of an order. ``as_service``: a person said that it is to be taken back as service_role."""

    class State(models.TextChoices):
        WAITING = "waiting"
        UNDONE = "undone"
        CONFLICT = "conflict", "conflict: changed since, or not certain"
        REFUSED = "refused", "refused: its writer may not take it back"

    id = models.BigAutoField(primary_key=True)
    order = models.ForeignKey(TakeBack, on_delete=models.CASCADE, related_name="items")
    receipt = models.UUIDField()
    written_at = models.DateTimeField()
    writer = models.CharField(max_length=20)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    as_service = models.BooleanField(default=False)
    rows = models.PositiveIntegerField(default=0, help_text="Taken back.")
    why = models.TextField(blank=True, default="", help_text="Why it was not taken back.")
    due_at = models.DateTimeField(null=True, blank=True, help_text="When it is tried again, where the target was away.")
    ended_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        app_label = "healing"
        ordering = ["-written_at", "-receipt"]
        indexes = [models.Index(fields=["order", "state", "-written_at"], name="take_back_due")]
        constraints = [models.UniqueConstraint(fields=["order", "receipt"], name="a_write_is_taken_back_once_per_order")]

    def __str__(self) -> str:
        return f"{self.state}: {self.receipt}"
