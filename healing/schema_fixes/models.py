"""A migration that a person decided about. What nobody decided about is no row: it is made anew from what waits whenever somebody looks."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models


class SchemaFix(models.Model):
    """The SQL is kept as it was approved; that, and nothing else, is what may be run."""

    class State(models.TextChoices):
        PARTLY = "partly", "partly approved: more people must agree before it is run"
        APPROVED = "approved", "approved: waits until the schema has it"
        RUNNING = "running"
        LANDED = "landed", "landed: the schema has it"
        FAILED = "failed"
        REJECTED = "rejected"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    schema = models.CharField(max_length=63)
    table = models.CharField(max_length=200)
    signature = models.TextField(help_text="The cause that it lets land.")
    kind = models.CharField(max_length=20)
    statements = models.JSONField(help_text="In order, each in a transaction of its own.")
    sentence = models.TextField()
    evidence = models.JSONField(default=dict)
    settles = models.JSONField(default=list)
    leaves = models.JSONField(default=list, help_text="Misfits of the cause that it does not settle.")
    content_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State.choices)
    by_us = models.BooleanField(default=False, help_text="Mendgate runs it; else a person does, elsewhere.")
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField()
    agreed_ids = models.JSONField(default=list, help_text="The same people, whatever their names are now.")
    agreed = models.JSONField(default=list, help_text="Who said that it may be run, by name.")
    why = models.TextField(blank=True, default="")
    done = models.PositiveIntegerField(default=0, help_text="Statements that are committed.")
    tries = models.PositiveIntegerField(default=0)
    due_at = models.DateTimeField(null=True, blank=True, help_text="When it is run, or tried again; while it runs, when it counts as lost.")
    impact = models.TextField(blank=True, default="", help_text="What the impact check said before it ran.")
    error = models.JSONField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    replay = models.ForeignKey("healing.Replay", null=True, blank=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        app_label = "healing"
        ordering = ["-decided_at"]
        verbose_name = "schema proposal"
        constraints = [
            models.UniqueConstraint(fields=["schema", "table", "signature", "content_hash"], name="a_schema_fix_is_decided_once_per_cause")
        ]

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}: {self.sentence}"

    @property
    def sql(self) -> str:
        """All of it."""
        return "\n".join(f"{statement};" for statement in self.statements)
