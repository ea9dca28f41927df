"""Facts about alerts: who wants to know what, which messages are due, and each attempt to deliver one.

A message is the unit of delivery: to people one message a version (a digest), to programs one a change. ``SchemaAlert`` ties each
change to the message that carries it, once per subscription. What is no schema change is a ``Notice`` (``alerts.notices``).
"""

from __future__ import annotations

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Channel(models.TextChoices):
    """Where an alert goes."""

    EMAIL = "email", "E-mail"
    SLACK = "slack", "Slack"
    DISCORD = "discord", "Discord"
    WEBHOOK = "webhook", "Webhook"


class Level(models.TextChoices):
    """The severities, as a choice of the least."""

    LOW = "low", "low: everything"
    MEDIUM = "medium", "medium and worse"
    HIGH = "high", "high and worse"
    CRITICAL = "critical", "critical only"


class SchemaSubscription(models.Model):
    """Who wants to know what. Lists that are empty mean everything; in names ``*`` stands for anything.

    ``address`` and ``secrets`` are sealed (``alerts.sealed``). ``failures`` and ``paused_until`` are its circuit: after several failures in
    a row nothing is sent for a while, then one message tries (``core.retry``).
    """

    name = models.CharField(max_length=100, unique=True)
    channel = models.CharField(max_length=10, choices=Channel.choices)
    address = models.BinaryField(editable=False, help_text="Sealed: addresses with commas between, or a URL.")
    shown_address = models.CharField("address", max_length=300, editable=False, help_text="What of it may be shown.")
    secrets = models.BinaryField(null=True, editable=False, help_text="Sealed JSON list of signing secrets, the newest first.")
    minimum = models.CharField("severity", max_length=10, choices=Level.choices, default=Level.HIGH)
    schemas = models.JSONField(default=list, blank=True)
    tables = models.JSONField(default=list, blank=True)
    kinds = models.JSONField(default=list, blank=True)
    enabled = models.BooleanField(default=True)
    why_disabled = models.CharField(max_length=200, blank=True, default="", editable=False)
    since = models.DateTimeField(
        db_default=Now(), editable=False, help_text="Changes from then on: set when it is made, edited or enabled."
    )
    failures = models.PositiveIntegerField(default=0, editable=False, help_text="In a row.")
    paused_until = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        app_label = "schema_monitor"
        ordering = ["name"]
        verbose_name = "alert subscription"

    def __str__(self) -> str:
        return self.name


TELLS = Q(version__isnull=False) | Q(notice__isnull=False)
"""Messages that are no tests."""


class AlertMessage(models.Model):
    """One message to one subscription: due, being sent, or through. It tells a version's changes, or a notice; neither: a test.

    ``key`` is unique per subscription, so a version that is put twice is still told once. ``reference`` is what the receiver can tell
    a repeat by: webhook-id, Message-ID.
    """

    class State(models.TextChoices):
        WAITING = "waiting"
        SENDING = "sending"
        DELIVERED = "delivered"
        FAILED = "failed", "given up"

    subscription = models.ForeignKey(SchemaSubscription, on_delete=models.CASCADE, related_name="messages")
    version = models.ForeignKey("schema_monitor.SchemaVersion", null=True, on_delete=models.CASCADE, related_name="+")
    notice = models.ForeignKey("schema_monitor.Notice", null=True, on_delete=models.CASCADE, related_name="messages")
    over = models.BooleanField(db_default=False, help_text="Tells that the notice is over.")
    key = models.CharField(max_length=64)
    reference = models.CharField(max_length=64, db_index=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    attempts = models.PositiveIntegerField(default=0)
    made_at = models.DateTimeField(db_default=Now())
    next_try_at = models.DateTimeField(db_default=Now())
    lease_until = models.DateTimeField(null=True, help_text="Whoever sends it has so long; its value proves whose it is.")
    delivered_at = models.DateTimeField(null=True)
    last_error = models.TextField(blank=True, default="")

    class Meta:
        app_label = "schema_monitor"
        ordering = ["-id"]
        verbose_name = "alert"
        constraints = [models.UniqueConstraint(fields=["subscription", "key"], name="one_message_a_key")]
        indexes = [
            models.Index(fields=["subscription", "id"], condition=Q(state__in=["waiting", "sending"]), name="alert_message_due"),
        ]

    def __str__(self) -> str:
        return f"{self.reference} to {self.subscription}"

    @property
    def is_test(self) -> bool:
        """It tells nothing."""
        return self.version_id is None and self.notice_id is None

    @property
    def due_at(self) -> datetime | None:
        """When it is tried next; None: no more, or not while its subscription is off."""
        if self.state != self.State.WAITING or not self.subscription.enabled:
            return None
        return max(self.next_try_at, self.subscription.paused_until or self.next_try_at)


class SchemaAlert(models.Model):
    """That a subscription is told of a change, and by which message: once."""

    subscription = models.ForeignKey(SchemaSubscription, on_delete=models.CASCADE, related_name="+")
    change = models.ForeignKey("schema_monitor.SchemaChange", on_delete=models.CASCADE, related_name="alerts")
    message = models.ForeignKey(AlertMessage, on_delete=models.CASCADE, related_name="alerts")

    class Meta:
        app_label = "schema_monitor"
        ordering = ["change_id"]
        constraints = [models.UniqueConstraint(fields=["subscription", "change"], name="each_alert_once")]

    def __str__(self) -> str:
        return f"change {self.change_id} by message {self.message_id}"


class AlertDelivery(models.Model):
    """One attempt to deliver a message, as it went."""

    class Outcome(models.TextChoices):
        DELIVERED = "delivered"
        FAILED = "failed"
        UNKNOWN = "unknown", "unknown: the worker ended meanwhile"

    message = models.ForeignKey(AlertMessage, on_delete=models.CASCADE, related_name="deliveries")
    at = models.DateTimeField(db_default=Now())
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    status = models.PositiveIntegerField(null=True, help_text="The HTTP status; SMTP's code for e-mail.")
    milliseconds = models.PositiveIntegerField(null=True)
    error = models.TextField(blank=True, default="")
    next_try_at = models.DateTimeField(null=True, help_text="None: no more.")

    class Meta:
        app_label = "schema_monitor"
        ordering = ["-id"]
        verbose_name = "delivery"
        verbose_name_plural = "deliveries"

    def __str__(self) -> str:
        return f"{self.outcome} at {self.at}"
