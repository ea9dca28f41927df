"""Rows of the AI tier: what is asked (prompts, in versions), and each asking with its answer, its proof and its verdict."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Prompt(models.Model):
    """One version of what a model is told. A version never changes; the active one is used."""

    name = models.CharField(max_length=40, default="fix")
    version = models.PositiveIntegerField()
    system = models.TextField(help_text="Who the model is, and what the operations mean.")
    task = models.TextField(help_text="What it is asked; {facts} is where the facts go.")
    temperature = models.FloatField(default=0.0)
    max_tokens = models.PositiveIntegerField(default=300)
    active = models.BooleanField(default=False)
    author = models.CharField(max_length=150, blank=True, default="")
    why = models.TextField(blank=True, default="", help_text="What this version is meant to do better.")
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ["-version"]
        constraints = [
            models.UniqueConstraint(fields=["name", "version"], name="a_prompt_version_is_one"),
            models.UniqueConstraint(fields=["name"], condition=Q(active=True), name="one_active_version_per_prompt"),
        ]

    def __str__(self) -> str:
        return f"{self.name} v{self.version}"


class AssistRun(models.Model):
    """One asking about one cause, however many writes wait. The row is the truth; RQ is only a doorbell."""

    class State(models.TextChoices):
        DUE = "due"
        WORKING = "working"
        DONE = "done"

    class Verdict(models.TextChoices):
        PROVEN = "proven", "proven: applied where the policy allows it"
        PROPOSED = "proposed", "proposed: a person decides"
        ABSTAINED = "abstained", "abstained: the model was not sure, or answered a part"
        INVALID = "invalid", "invalid: no answer in the fix language, or one that does not fit"
        NOT_NEEDED = "not needed", "not needed: the writes land, or nothing waits"
        UNAVAILABLE = "unavailable", "unavailable: nobody could answer"
        FAILED = "failed", "failed: our own fault"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    schema = models.CharField(max_length=63)
    table = models.CharField(max_length=200)
    signature = models.TextField()
    fingerprint = models.CharField(max_length=64, blank=True, default="", db_default="", help_text="The relation as it was.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.DUE, db_default="due")
    asked_by = models.CharField(max_length=150, blank=True, default="", db_default="", help_text="A person's name; empty = the policy.")
    due_at = models.DateTimeField(db_default=Now())
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    verdict = models.CharField(max_length=12, choices=Verdict.choices, blank=True, default="", db_default="")
    why = models.TextField(blank=True, default="", db_default="")

    prompt = models.ForeignKey(Prompt, null=True, blank=True, on_delete=models.PROTECT, related_name="runs")
    prompt_name = models.CharField(max_length=40, blank=True, default="", db_default="")
    prompt_version = models.PositiveIntegerField(default=0, db_default=0)
    asked = models.BooleanField(default=False, db_default=False, help_text="A model was called; a proven answer is used again without.")
    model = models.CharField(max_length=200, blank=True, default="", db_default="")
    provider = models.CharField(max_length=100, blank=True, default="", db_default="")
    call = models.CharField(max_length=64, blank=True, default="", db_default="", help_text="The AI gateway's id of the call.")
    input_tokens = models.PositiveIntegerField(default=0, db_default=0)
    output_tokens = models.PositiveIntegerField(default=0, db_default=0)
    cost = models.FloatField(default=0.0, db_default=0.0, help_text="US dollars.")
    seconds = models.FloatField(default=0.0, db_default=0.0, help_text="Of the call.")

    fix = models.JSONField(null=True, blank=True, help_text="The answer in the fix language.")
    content_hash = models.CharField(max_length=64, blank=True, default="", db_default="")
    bound = models.JSONField(
        default=dict, db_default=models.Value({}, output_field=models.JSONField()), help_text="oid and attnums that the fix names."
    )
    agreement = models.CharField(max_length=8, blank=True, default="", db_default="", help_text="With the matcher: same, other, silent.")
    matcher = models.FloatField(default=0.0, db_default=0.0)
    confidence = models.FloatField(default=0.0, db_default=0.0)
    proof = models.JSONField(default=dict, db_default=models.Value({}, output_field=models.JSONField()), help_text="tried, landed, why.")
    items = models.JSONField(
        default=list, db_default=models.Value([], output_field=models.JSONField()), help_text="Ids of the kept writes it was tried on."
    )
    proposal = models.ForeignKey("healing.Proposal", null=True, blank=True, on_delete=models.SET_NULL, related_name="runs")

    class Meta:
        app_label = "healing"
        ordering = ["-created_at"]
        indexes = [
            models.Index(fields=["schema", "table", "signature", "-finished_at"], name="assist_cause"),
            models.Index(fields=["state", "due_at"], name="assist_due"),
        ]
        constraints = [
            models.UniqueConstraint(fields=["schema", "table", "signature"], condition=~Q(state="done"), name="one_live_run_per_cause"),
        ]

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}: {self.verdict or self.state}"
