"""Rows of the optimizer: runs, what they propose, who decided, what is set (as immutable revisions), what is being tried.

Processes read ``optimizer_setting`` with plain SQL (``healing/gateway/tuned.py``, ``schema_monitor/watch.py``): its column names are a
contract with them.
"""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class OptimizationRun(models.Model):
    """One look at everything, or a part. Whoever works on it holds a lease, and goes on where the last one stopped."""

    class State(models.TextChoices):
        DUE = "due"
        RUNNING = "running"
        DONE = "done"
        FAILED = "failed"

    class Reason(models.TextChoices):
        CRON = "schedule"
        TRIGGER = "trigger"
        HAND = "by hand"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    target = models.CharField(max_length=20, help_text="all, or a part: rules, breakers, ai, writes, schema")
    reason = models.CharField(max_length=10, choices=Reason.choices)
    asked_by = models.CharField(max_length=150, blank=True, default="", help_text="A person's name, or what set it off.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.DUE)
    created_at = models.DateTimeField(db_default=Now())
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    lease_until = models.DateTimeField(null=True)
    attempts = models.PositiveIntegerField(default=0)
    steps = models.JSONField(default=list, help_text="All steps, in order.")
    done = models.JSONField(default=dict, help_text="Each finished step: what it found, in a sentence.")
    found = models.PositiveIntegerField(default=0, help_text="Proposals that were new.")
    why = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-created_at"]
        verbose_name = "optimization run"
        default_permissions = ("view", "add")
        constraints = [
            models.UniqueConstraint(fields=["target"], condition=Q(state__in=["due", "running"]), name="one_run_at_a_time_per_target"),
        ]

    def __str__(self) -> str:
        return f"{self.target} {self.created_at:%Y-%m-%d %H:%M}: {self.state}"

    @property
    def progress(self) -> float:
        """The part of the steps that is done."""
        return len(self.done) / len(self.steps) if self.steps else 0.0


class Proposal(models.Model):
    """A change with its reasons, what it is expected to bring, and afterwards what it brought."""

    class State(models.TextChoices):
        OPEN = "open"
        TRYING = "trying"
        ADOPTED = "adopted"
        ROLLED_BACK = "rolled back"
        REJECTED = "rejected"
        STOPPED = "stopped"
        SETTLED = "settled"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    run = models.ForeignKey(OptimizationRun, null=True, on_delete=models.SET_NULL, related_name="proposals")
    key = models.TextField(help_text="The same idea, found again, is the same row.")
    kind = models.CharField(max_length=10)
    proposer = models.CharField(max_length=60)
    name = models.TextField(help_text="The setting, the rule, the cause.")
    place = models.CharField(max_length=300, blank=True, default="")
    old = models.JSONField(null=True)
    new = models.JSONField(null=True)
    sentence = models.TextField()
    evidence = models.JSONField(default=dict)
    expected = models.JSONField(help_text="metric, middle, low, high, unit")
    measured = models.JSONField(null=True, help_text="The same, afterwards.")
    measured_at = models.DateTimeField(null=True)
    state = models.CharField(max_length=12, choices=State.choices, default=State.OPEN)
    why = models.TextField(blank=True, default="")
    fix = models.UUIDField(null=True, help_text="The proposal of the review queue that it is about.")
    changed_at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-created_at"]
        default_permissions = ("view", "change")
        constraints = [
            models.UniqueConstraint(fields=["key"], condition=Q(state__in=["open", "trying"]), name="an_idea_is_open_once"),
        ]
        indexes = [models.Index(fields=["state", "-created_at"], name="optimizer_proposal_state")]

    def __str__(self) -> str:
        return self.sentence


class Decision(models.Model):
    """What was decided about a proposal, by a person or by the guardrails. Append-only (a trigger forbids more)."""

    proposal = models.ForeignKey(Proposal, on_delete=models.PROTECT, related_name="decisions")
    at = models.DateTimeField()
    who = models.CharField(max_length=150)
    action = models.CharField(max_length=20)
    why = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.who}: {self.action}"


class Setting(models.Model):
    """What is set at a place. ``revision`` points at one of its immutable revisions; it moves by compare-and-swap only."""

    name = models.CharField(max_length=60)
    place = models.CharField(max_length=300, blank=True, default="", help_text="A table (schema.table), a breaker; empty = everywhere.")
    value = models.JSONField(null=True, help_text="As the revision says; null = what its owner says.")
    trial = models.JSONField(null=True, help_text="What is tried beside it: value, seed, share, begins, until.")
    revision = models.ForeignKey("Revision", null=True, on_delete=models.PROTECT, related_name="+")
    automatic = models.BooleanField(default=True, help_text="The optimizer may try steps by itself, within the guardrails.")

    class Meta:
        ordering = ["name", "place"]
        default_permissions = ("view", "change")
        constraints = [models.UniqueConstraint(fields=["name", "place"], name="a_setting_has_one_row")]

    def __str__(self) -> str:
        return f"{self.name} {self.place}".strip()


class Revision(models.Model):
    """What a setting was from then on. Never changed, never removed (a trigger forbids it)."""

    setting = models.ForeignKey(Setting, on_delete=models.PROTECT, related_name="revisions")
    number = models.PositiveIntegerField()
    value = models.JSONField(null=True)
    before = models.ForeignKey("self", null=True, on_delete=models.PROTECT, related_name="+")
    proposal = models.ForeignKey(Proposal, null=True, on_delete=models.PROTECT, related_name="revisions")
    at = models.DateTimeField()
    who = models.CharField(max_length=150)
    why = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["setting", "number"], name="each_revision_once")]

    def __str__(self) -> str:
        return f"{self.setting} r{self.number}"


class Experiment(models.Model):
    """A change on its way into force, or in force and still watched."""

    class State(models.TextChoices):
        RUNNING = "running"
        PROMOTED = "promoted"
        REVERTED = "reverted"

    proposal = models.OneToOneField(Proposal, on_delete=models.PROTECT, related_name="experiment")
    setting = models.ForeignKey(Setting, on_delete=models.PROTECT, related_name="experiments")
    mode = models.CharField(
        max_length=6, help_text="turns (of time), split (by hash), after (it is in force, before and after are compared)"
    )
    group = models.CharField(max_length=60, help_text="The metrics it moves: one experiment at a time.")
    stage = models.PositiveIntegerField(default=0)
    began = models.DateTimeField()
    stage_since = models.DateTimeField()
    until = models.DateTimeField(help_text="The lease's end.")
    looked_at = models.DateTimeField(null=True)
    extended = models.BooleanField(default=False)
    seen = models.JSONField(default=dict, help_text="What was measured so far: sums, never values of payloads.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    ended = models.DateTimeField(null=True)
    why = models.TextField(blank=True, default="")

    class Meta:
        ordering = ["-began"]
        default_permissions = ("view",)
        constraints = [
            models.UniqueConstraint(fields=["group"], condition=Q(state="running"), name="one_open_experiment_per_group"),
        ]

    def __str__(self) -> str:
        return f"{self.setting}: {self.state}"


class Bar(models.Model):
    """A direction that was rolled back: not tried again before ``until``."""

    setting = models.CharField(max_length=60)
    place = models.CharField(max_length=300, blank=True, default="")
    direction = models.CharField(max_length=40, help_text="up, down, or what it would have become.")
    until = models.DateTimeField()
    proposal = models.ForeignKey(Proposal, null=True, on_delete=models.SET_NULL, related_name="+")

    class Meta:
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.setting} {self.direction} until {self.until:%Y-%m-%d}"


class Schedule(models.Model):
    """When it runs by itself: the only row has id 1."""

    weekday = models.PositiveSmallIntegerField(
        default=0, choices=[(n, d) for n, d in enumerate(("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"))]
    )
    hour = models.PositiveSmallIntegerField(default=3, help_text="UTC")
    on = models.BooleanField(default=True)
    last_at = models.DateTimeField(null=True, editable=False)

    class Meta:
        default_permissions = ("view", "change")
        constraints = [
            models.CheckConstraint(condition=Q(pk=1), name="one_schedule"),
            models.CheckConstraint(condition=Q(weekday__lte=6) & Q(hour__lte=23), name="a_schedule_names_an_hour_of_the_week"),
        ]

    def __str__(self) -> str:
        return f"{self.get_weekday_display()} {self.hour:02d}:00 UTC" if self.on else "off"
