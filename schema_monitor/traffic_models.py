"""Facts about what callers send: names and counts, never values. Gateways add them up with plain SQL
(``healing/gateway/traffic_sql.py``), so column names here are a contract with it."""

from __future__ import annotations

from django.db import models


class PayloadShape(models.Model):
    """Requests of one shape, by one caller, in one hour."""

    id = models.BigAutoField(primary_key=True)
    hour = models.DateTimeField()
    schema = models.CharField(max_length=63)
    relation_oid = models.BigIntegerField(help_text="The relation; the function where operation is call.")
    name = models.CharField(max_length=63, help_text="What the caller called it.")
    operation = models.CharField(max_length=10, help_text="insert, upsert, update, delete, select or call")
    key = models.UUIDField(null=True, blank=True, help_text="The caller's API key; empty = a token only.")
    caller = models.CharField(max_length=100, help_text="The key's name, else the role.")
    role = models.CharField(max_length=63)
    keys = models.JSONField(help_text="Keys of the payload as sent, sorted.")
    named = models.JSONField(help_text="Columns named in filters, select, order, on_conflict; * = all.")
    shape = models.CharField(max_length=32, help_text="Digest of keys and named.")
    requests = models.BigIntegerField()
    rows = models.BigIntegerField()
    misfits = models.BigIntegerField(help_text="Requests that did not fit as they were sent.")
    healed = models.BigIntegerField(help_text="Those of them that landed.")
    last_at = models.DateTimeField()

    class Meta:
        app_label = "schema_monitor"
        ordering = ["-hour", "-requests"]
        indexes = [models.Index(fields=["relation_oid", "hour"], name="payload_shape_relation")]
        constraints = [
            models.UniqueConstraint(
                fields=["hour", "relation_oid", "name", "operation", "key", "role", "shape"],
                nulls_distinct=False,
                name="one_payload_shape_an_hour",
            )
        ]

    def __str__(self) -> str:
        return f"{self.caller}: {self.requests} × {self.operation} {self.schema}.{self.name}"


class OldNameUse(models.Model):
    """One caller's uses of one former name on one day (UTC)."""

    id = models.BigAutoField(primary_key=True)
    day = models.DateField()
    schema = models.CharField(max_length=63, help_text="The schema that the caller named.")
    relation_oid = models.BigIntegerField(help_text="0 for labels.")
    attnum = models.IntegerField(help_text="0 = the table's own name.")
    enum_oid = models.BigIntegerField()
    label_oid = models.BigIntegerField()
    name = models.CharField(max_length=63, help_text="The former name.")
    key = models.UUIDField(null=True, blank=True)
    caller = models.CharField(max_length=100)
    role = models.CharField(max_length=63)
    uses = models.BigIntegerField()
    last_at = models.DateTimeField()

    class Meta:
        app_label = "schema_monitor"
        ordering = ["-last_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["day", "schema", "relation_oid", "attnum", "enum_oid", "label_oid", "name", "key", "role"],
                nulls_distinct=False,
                name="one_old_name_use_a_day",
            )
        ]

    def __str__(self) -> str:
        return f"{self.caller}: {self.uses} × {self.name}"


class TrafficRecording(models.Model):
    """Whether the counts can be believed. One row, written by gateways."""

    id = models.SmallIntegerField(primary_key=True, default=1)
    since = models.DateTimeField(help_text="The first recording.")
    last_at = models.DateTimeField(help_text="The latest.")
    lost = models.BigIntegerField(help_text="Requests that were not counted, in all.")
    lost_at = models.DateTimeField(null=True, help_text="When some were last lost.")

    class Meta:
        app_label = "schema_monitor"

    def __str__(self) -> str:
        return f"since {self.since}, {self.lost} lost"


class RetiredName(models.Model):
    """A former name that gateways no longer follow. ``attnum`` 0 = the relation's own name; labels have ``enum_oid`` and ``label_oid``
    and no relation."""

    id = models.BigAutoField(primary_key=True)
    relation_oid = models.BigIntegerField()
    attnum = models.IntegerField()
    enum_oid = models.BigIntegerField()
    label_oid = models.BigIntegerField()
    schema = models.CharField(max_length=63)
    name = models.CharField(max_length=63)
    by = models.CharField(max_length=150)
    at = models.DateTimeField(auto_now_add=True)
    why = models.TextField()

    class Meta:
        app_label = "schema_monitor"
        ordering = ["-at"]
        constraints = [
            models.UniqueConstraint(
                fields=["relation_oid", "attnum", "enum_oid", "label_oid", "schema", "name"], name="a_name_is_retired_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.schema}.{self.name}"
