"""How the target is watched, as far as other processes need to know: one row for the state, one for the right to write versions."""

from __future__ import annotations

from django.db import models

TARGET = "target"
"""The key of the only row of each."""


class MonitorState(models.Model):
    """Written by the watcher every few seconds; ``removed_at`` and ``self_test`` by whoever did that."""

    class Detector(models.TextChoices):
        """What finds changes, best first."""

        LISTEN = "listen", "DDL log and notifications"
        LOG = "log", "DDL log, looked at"
        COUNTERS = "counters", "counters of catalog writes"
        FINGERPRINT = "fingerprint", "fingerprint of the catalog"
        NONE = "none", "nothing: the target does not answer"

    target = models.CharField(primary_key=True, max_length=63, default=TARGET)
    detector = models.CharField(max_length=20, choices=Detector.choices, default=Detector.NONE)
    why_not = models.JSONField(default=list, help_text="Why the better detectors are not in force: a list of sentences.")
    bound = models.FloatField(null=True, help_text="A change is seen within so many seconds; empty = no promise.")
    bound_text = models.TextField(blank=True, default="", help_text="The same as a sentence.")
    trigger_present = models.BooleanField(default=False, help_text="Our event triggers are there and enabled.")
    monitor = models.CharField(max_length=10, blank=True, default="", help_text="on, disabled, dropped; empty = not installed")
    heartbeat_at = models.DateTimeField(null=True, help_text="When the watcher last said that it watches.")
    heard_at = models.DateTimeField(null=True, help_text="When a notification to itself last came back.")
    last_change_at = models.DateTimeField(null=True, help_text="When the newest change was stored.")
    horizon = models.BigIntegerField(default=0, help_text="The target's transactions below this one were looked at.")
    watcher = models.CharField(max_length=100, blank=True, default="", help_text="host:pid of the watcher in charge")
    removed_at = models.DateTimeField(null=True, help_text="Somebody removed the DDL log on purpose: it is not installed again unasked.")
    self_test = models.JSONField(null=True, help_text="The last self-test: a list of {name, ok, detail, fix}.")
    self_tested_at = models.DateTimeField(null=True)

    class Meta:
        app_label = "schema_monitor"

    def __str__(self) -> str:
        return self.bound_text or self.get_detector_display()


class WriterLease(models.Model):
    """The fencing token: whoever comes into charge raises it, and no version is stored under an older one."""

    target = models.CharField(primary_key=True, max_length=63, default=TARGET)
    token = models.BigIntegerField(default=0)

    class Meta:
        app_label = "schema_monitor"

    def __str__(self) -> str:
        return f"token {self.token}"
