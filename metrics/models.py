"""What was counted, by series and stretch of time; and what was judged of it."""

from __future__ import annotations

from django.db import models
from django.db.models.functions import Now


class Flush(models.Model):
    """What one process counted between two flushes, as it came: the unique number makes a repeated one count once. ``store.ingest``
    turns it into points."""

    boot = models.UUIDField(help_text="The process, from its start to its end.")
    number = models.PositiveIntegerField()
    at = models.DateTimeField(db_default=Now())
    body = models.JSONField(help_text="counters and sketches by series")

    class Meta:
        constraints = [models.UniqueConstraint(fields=["boot", "number"], name="a_flush_counts_once")]

    def __str__(self) -> str:
        return f"{self.boot} {self.number}"


class Series(models.Model):
    """A metric with the values of its labels, in the order of ``metrics.core.names``."""

    name = models.CharField(max_length=80)
    labels = models.JSONField(default=list)

    class Meta:
        verbose_name_plural = "series"
        constraints = [models.UniqueConstraint(fields=["name", "labels"], name="one_series_per_labels")]

    def __str__(self) -> str:
        return f"{self.name}{self.labels}"


class Resolution(models.TextChoices):
    """How long a point's stretch is. Every flush is added to one point of each."""

    MINUTE = "m", "minute"
    HOUR = "h", "hour"
    DAY = "d", "day"
    EVER = "e", "ever"


class Point(models.Model):
    """What a series counted in one stretch of time that began at ``at`` (UTC): an amount, or a sketch."""

    series = models.ForeignKey(Series, on_delete=models.CASCADE, related_name="points", db_index=False)
    resolution = models.CharField(max_length=1, choices=Resolution.choices)
    at = models.DateTimeField()
    amount = models.FloatField(default=0.0)
    sketch = models.JSONField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["resolution", "at", "series"], name="one_point_per_stretch")]
        indexes = [models.Index(fields=["series", "resolution", "at"], name="points_of_a_series")]

    def __str__(self) -> str:
        return f"{self.series} {self.resolution} {self.at}"


class Threshold(models.Model):
    """What a person set for a trigger in place of ``metrics.core.triggers.LIMITS``."""

    name = models.CharField(max_length=40, unique=True)
    bound = models.FloatField()
    least = models.PositiveIntegerField(default=100, help_text="The fewest cases that count.")
    on = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return f"{self.name}: {self.bound:g}"


class Trigger(models.Model):
    """A trigger that fired: from its first finding to the first look that did not find it any more."""

    name = models.CharField(max_length=40)
    about = models.CharField(max_length=200, blank=True, default="")
    sentence = models.TextField()
    evidence = models.JSONField(default=dict)
    since = models.DateTimeField(db_default=Now())
    seen = models.DateTimeField(db_default=Now(), help_text="The last look that found it.")
    ended = models.DateTimeField(null=True, blank=True)
    looked_at_by = models.CharField(max_length=150, blank=True, default="", help_text="Who took note of it.")

    class Meta:
        ordering = ["-since"]
        constraints = [
            models.UniqueConstraint(fields=["name", "about"], condition=models.Q(ended=None), name="a_trigger_fires_once_at_a_time"),
        ]

    def __str__(self) -> str:
        return self.sentence
