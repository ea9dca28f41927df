"""Facts of the control database about the target's schema: one row a version, one row a change."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class SchemaVersion(models.Model):
    """The catalog at one epoch, and the lineage up to it: whole now and then, else what changed since the epoch before
    (``core.delta``). Read them with ``schema_monitor.versions``. Epochs have no gaps per target."""

    epoch = models.BigIntegerField(unique=True)
    taken_at = models.DateTimeField(auto_now_add=True)
    scope = models.JSONField(help_text="system_identifier, database_oid")
    fingerprint = models.CharField(max_length=64)
    snapshot = models.JSONField(null=True, help_text="core.snapshot.Snapshot, where it is stored whole.")
    lineage = models.JSONField(null=True, help_text="core.lineage.Lineage, where it is stored whole.")
    delta = models.JSONField(null=True, help_text="core.delta.Delta: what is other than in the epoch before.")
    summary = models.TextField(blank=True, default="", help_text="What changed, in a sentence.")
    horizon = models.BigIntegerField(db_default=0, help_text="The target's transactions below this one are in here; 0 = not known.")
    cause = models.CharField(max_length=20, default="start", help_text="start, command, watcher, in_band")
    alerted = models.BooleanField(db_default=False, help_text="Whether its alerts are in the outbox.")

    class Meta:
        ordering = ["-epoch"]

    def __str__(self) -> str:
        return f"v{self.epoch} {self.summary}"


class SchemaChange(models.Model):
    """One difference between an epoch and the one before."""

    version = models.ForeignKey(SchemaVersion, on_delete=models.CASCADE, related_name="changes")
    kind = models.CharField(max_length=40)
    severity = models.CharField(max_length=10, help_text="Weighted by the traffic that it hits.")
    base_severity = models.CharField(max_length=10, blank=True, default="", help_text="Of its kind alone; empty = not weighed.")
    hits = models.JSONField(default=dict, blank=True, help_text="requests and callers of the last 7 days that touch it.")
    schema = models.CharField(max_length=63)
    relation = models.CharField(max_length=63)
    object = models.CharField(max_length=200, blank=True, default="")
    old = models.JSONField(null=True, blank=True)
    new = models.JSONField(null=True, blank=True)
    sentence = models.TextField()
    breaks_old_writers = models.BooleanField(default=False)
    breaks_old_readers = models.BooleanField(default=False)
    inferred = models.BooleanField(default=False)
    tag = models.TextField(null=True, blank=True, help_text="The commands that did it, where the DDL log knows: ALTER TABLE …")
    usr = models.CharField(max_length=63, null=True, blank=True, help_text="The role that did it.")
    app = models.CharField(max_length=64, null=True, blank=True, help_text="Its application_name.")

    class Meta:
        ordering = ["version_id", "id"]

    def __str__(self) -> str:
        return self.sentence


class SchemaSighting(models.Model):
    """A relation as a gateway saw it between two captures (``core.lineage.Sighting`` as JSON): a name that lived too briefly for a
    capture is still known. The next capture takes it into the lineage and deletes it."""

    at = models.DateTimeField(db_default=Now())
    body = models.JSONField()

    def __str__(self) -> str:
        return f"{self.body.get('schema')}.{self.body.get('name')} at {self.at}"


from schema_monitor.alerts.models import AlertDelivery, AlertMessage, SchemaAlert, SchemaSubscription  # noqa: E402, F401
from schema_monitor.alerts.notice_model import Notice  # noqa: E402, F401
from schema_monitor.impact.models import ImpactCheck  # noqa: E402, F401
from schema_monitor.monitor_models import MonitorState, WriterLease  # noqa: E402, F401
from schema_monitor.seen import SeenChange  # noqa: E402, F401
from schema_monitor.traffic_models import OldNameUse, PayloadShape, RetiredName, TrafficRecording  # noqa: E402, F401
