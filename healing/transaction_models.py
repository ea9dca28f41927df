"""Transactions of ``/api/v1/transactions``: one row each, from its beginning to its end."""

from __future__ import annotations

from django.db import models
from django.db.models import Q


class TransactionLog(models.Model):
    """Written with plain SQL by the gateway's journal, and from the record that a commit left in the target
    (``healing/gateway/transactions/story.py`` says what each column holds)."""

    class State(models.TextChoices):
        BEGUN = "begun", "begun: under way"
        COMMITTED = "committed"
        ROLLED_BACK = "rolled back"
        UNKNOWN = "unknown", "unknown: being found out"

    id = models.UUIDField(primary_key=True, editable=False)
    at = models.DateTimeField(help_text="When it began.")
    ended_at = models.DateTimeField(null=True, blank=True)
    alive_at = models.DateTimeField(help_text="When its process last told of it.")
    state = models.CharField(max_length=12, choices=State.choices)
    code = models.CharField(max_length=40, blank=True, default="", help_text="The error that ended it.")
    isolation = models.CharField(max_length=20)
    attempts = models.PositiveIntegerField()
    seconds = models.FloatField(help_text="Until the commit was sent, or it was given up.")
    operations = models.PositiveIntegerField()
    healed = models.PositiveIntegerField(help_text="Operations that were healed.")
    tables = models.JSONField(default=list, help_text="As they were named.")
    key = models.UUIDField(null=True, blank=True)
    role = models.CharField(max_length=63)
    subject = models.TextField(blank=True, default="")
    sealed = models.BinaryField(help_text='Sealed JSON {"steps":[…],"restarts":[…],"error":…}')

    class Meta:
        verbose_name = "transaction"
        ordering = ["-at"]
        indexes = [
            models.Index(fields=["-at"], name="transaction_at"),
            models.Index(fields=["key", "-at"], name="transaction_key_at"),
            models.Index(fields=["alive_at"], condition=Q(state__in=["begun", "unknown"]), name="transaction_open"),
        ]

    def __str__(self) -> str:
        return f"{self.state} {self.operations} operations {self.at:%Y-%m-%d %H:%M:%S}"

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return self.seconds * 1000
