"""Facts about breakers: what each is set to, every version of that, and every change of state with its why.

Postgres owns these; what Valkey holds is made from them (``breakers.config``). Several rows at once are changed there, not here.
"""

from __future__ import annotations

from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now

from breakers.models.breaker_limits import BOUNDS, check_name, check_ramp, validators

FIELDS = (
    "failure_threshold", "failure_rate", "minimum_calls", "consecutive", "slow_after", "slow_rate", "window", "window_calls",
    "timeout", "timeout_cap", "permits", "permit_seconds", "ramp", "ramp_seconds", "shadow",
)  # fmt: skip
"""What a version keeps: the names are those of ``breakers.core.types.Settings``."""


def _ramp() -> list[float]:
    return [0.1, 0.25, 0.5]


class Override(models.TextChoices):
    """What a person can make of a breaker, whatever the calls do."""

    NONE = "", "normal: the calls decide"
    FORCED_OPEN = "forced_open", "forced open: every call is refused"
    DISABLED = "disabled", "disabled: every call goes through, nothing is counted"


def _within(field: str) -> models.CheckConstraint:
    bound = BOUNDS[field]
    inside = Q(**{f"{field}__gte": bound.low, f"{field}__lte": bound.high})
    return models.CheckConstraint(
        condition=inside | Q(**{f"{field}__isnull": True}) if field == "slow_after" else inside,
        name=f"breaker_{field}_in_bounds",
        violation_error_message=f"{field}: enter {bound.said}.",
    )


class BreakerConfig(models.Model):
    """One breaker: how it decides, and whether a person overrides it. ``version`` counts every change; Valkey has ``applied_version``."""

    name = models.CharField(max_length=200, unique=True, validators=[check_name])
    description = models.CharField(max_length=300, blank=True, default="", help_text="What it protects, for people.")
    failure_threshold = models.PositiveIntegerField(
        default=5, validators=validators("failure_threshold"), help_text="At least so many failures in the window, and the rate below."
    )
    failure_rate = models.FloatField(default=0.5, validators=validators("failure_rate"), help_text="Share of failed calls: 0.5 is 50 %.")
    minimum_calls = models.PositiveIntegerField(
        default=5, validators=validators("minimum_calls"), help_text="With fewer calls in the window no rate is judged."
    )
    consecutive = models.PositiveIntegerField(
        default=0, validators=validators("consecutive"), help_text="Also opens after so many failures in a row; 0 = off."
    )
    slow_after = models.FloatField(
        null=True, blank=True, validators=validators("slow_after"), help_text="Seconds after which a call counts as slow; empty = never."
    )
    slow_rate = models.FloatField(default=0.5, validators=validators("slow_rate"), help_text="Share of slow calls that opens it.")
    window = models.FloatField(default=60.0, validators=validators("window"), help_text="Seconds that are counted.")
    window_calls = models.PositiveIntegerField(
        default=0, validators=validators("window_calls"), help_text="Count the last so many calls instead of a time; 0 = time."
    )
    timeout = models.FloatField(
        default=60.0, validators=validators("timeout"), help_text="Seconds that it stays open; twice as long after each failed try."
    )
    timeout_cap = models.FloatField(default=600.0, validators=validators("timeout_cap"), help_text="Seconds, at most.")
    permits = models.PositiveIntegerField(default=3, validators=validators("permits"), help_text="Half-open: calls that may try at a time.")
    permit_seconds = models.FloatField(
        default=30.0, validators=validators("permit_seconds"), help_text="Seconds after which a try that did not answer is given up."
    )
    ramp = models.JSONField(
        default=_ramp, blank=True, validators=[check_ramp], help_text="Shares of the calls let through after it closed: [0.1, 0.25, 0.5]."
    )
    ramp_seconds = models.FloatField(default=10.0, validators=validators("ramp_seconds"), help_text="Seconds of each step.")
    shadow = models.BooleanField(default=False, help_text="Only counts and says when it would have opened; refuses nothing.")

    override = models.CharField(max_length=12, choices=Override.choices, blank=True, default="", editable=False)
    override_why = models.CharField(max_length=500, blank=True, default="", editable=False)
    override_by = models.CharField(max_length=150, blank=True, default="", editable=False)
    override_at = models.DateTimeField(null=True, blank=True, editable=False)

    version = models.PositiveIntegerField(default=1, editable=False)
    applied_version = models.PositiveIntegerField(default=0, editable=False, help_text="What Valkey has confirmed; 0 = nothing yet.")
    applied_at = models.DateTimeField(null=True, blank=True, editable=False)
    edited = models.BooleanField(default=False, editable=False, help_text="A person has set it: the code's wishes change it no more.")
    asked = models.JSONField(default=dict, blank=True, editable=False, help_text="What the code asks for, where it says so.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        ordering = ["name"]
        verbose_name = "breaker"
        permissions = [("override_breaker", "Can force breakers open, close them, and switch them off")]
        constraints = [
            *(_within(field) for field in BOUNDS),
            models.CheckConstraint(condition=Q(override__in=Override.values), name="breaker_override_is_known"),
            models.CheckConstraint(
                condition=Q(override="") | ~Q(override_why=""),
                name="breaker_override_has_a_reason",
                violation_error_message="Say why: whoever finds it overridden must know.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """What each field alone cannot tell."""
        problems = {}
        try:
            check_ramp(self.ramp)
        except ValidationError as error:
            problems["ramp"] = error.messages
        if None not in (self.timeout, self.timeout_cap) and self.timeout_cap < self.timeout:
            problems["timeout_cap"] = ["The longest open time must be no shorter than the first (timeout)."]
        if self.window_calls and self.window_calls < max(self.failure_threshold or 0, self.minimum_calls or 0):
            problems["window_calls"] = ["It could never open: the window holds fewer calls than the failures or calls that it waits for."]
        if problems:
            raise ValidationError(problems)

    @property
    def pending(self) -> bool:
        """Whether Valkey, and so the other processes, may not have it yet."""
        return self.applied_version < self.version

    def settings(self) -> dict[str, Any]:
        """What a version keeps."""
        return {field: getattr(self, field) for field in FIELDS}


class BreakerConfigVersion(models.Model):
    """What a breaker was set to from then on, by whom and why. Never changed afterwards."""

    config = models.ForeignKey(BreakerConfig, on_delete=models.CASCADE, related_name="versions")
    version = models.PositiveIntegerField()
    settings = models.JSONField()
    override = models.CharField(max_length=12, blank=True, default="")
    who = models.CharField(max_length=150)
    why = models.CharField(max_length=500, blank=True, default="")
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-version"]
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["config", "version"], name="each_version_of_a_breaker_once")]

    def __str__(self) -> str:
        return f"{self.config} v{self.version}"


class BreakerEvent(models.Model):
    """A change of state, as Valkey's log has it: once by ``stream_id``. ``why`` is the machine's, ``sentence`` the same for people."""

    stream_id = models.CharField(max_length=40, unique=True)
    at = models.DateTimeField()
    name = models.CharField(max_length=200)
    from_state = models.CharField(max_length=12, blank=True, default="")
    to_state = models.CharField(max_length=12)
    why = models.JSONField(default=dict)
    sentence = models.TextField()
    who = models.CharField(max_length=150, blank=True, default="", help_text="A person's name; empty = the calls did it.")

    class Meta:
        ordering = ["-at", "-id"]
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["name", "-at"], name="breaker_event_name_at"),
            models.Index(fields=["-at"], name="breaker_event_at"),
        ]

    def __str__(self) -> str:
        return f"{self.name}: {self.from_state or '?'} -> {self.to_state}"
