"""Facts about the use of AI: what each caller may use, what was used, each call, and what holds for all.

``key`` is the id of an API key (there is no foreign key: keys belong to a layer above), "" for callers without one, or ``healing``.
Calls, spend and notices are written with plain SQL (``breakers/gateway/ai/flush.sql``): column names are a contract with it.
"""

from __future__ import annotations

import uuid
from decimal import Decimal
from typing import Any
from uuid import UUID

from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from breakers.ai_changes import InForce
from breakers.models.ai import AiModel, Kind

HEALING = "healing"


def _usd() -> list[MinValueValidator]:
    return [MinValueValidator(Decimal(0), "Enter US dollars, 0 or more.")]


class AiAllowance(InForce):
    """What one caller may use. 0 or empty = no limit."""

    class Period(models.TextChoices):
        DAY = "day"
        WEEK = "week"
        MONTH = "month"

    key = models.CharField(max_length=36, unique=True, blank=True, default="", help_text="Empty = each caller that has no row of its own.")
    requests_per_minute = models.PositiveIntegerField(default=0)
    tokens_per_minute = models.PositiveIntegerField(default=0, help_text="In and out together.")
    concurrency = models.PositiveIntegerField(default=0, validators=[MaxValueValidator(10_000)], help_text="Calls under way at a time.")
    period = models.CharField(max_length=5, choices=Period.choices, default=Period.MONTH, help_text="Of the budgets below, in UTC.")
    soft_usd = models.DecimalField(
        "warn above", max_digits=12, decimal_places=4, null=True, blank=True, validators=_usd(), help_text="$ in a period: you are told."
    )
    hard_usd = models.DecimalField(
        "refuse above",
        max_digits=12, decimal_places=4, null=True, blank=True, validators=_usd(), help_text="$ in a period: calls are refused."
    )  # fmt: skip

    class Meta:
        ordering = ["key"]
        verbose_name = "allowance"
        constraints = [
            models.CheckConstraint(
                condition=Q(soft_usd__isnull=True) | Q(hard_usd__isnull=True) | Q(soft_usd__lte=F("hard_usd")),
                name="ai_soft_budget_is_below_hard",
                violation_error_message="The warning must come before the refusal: enter less than “refuse above”.",
            ),
        ]

    def __str__(self) -> str:
        return self.key or "everyone else"

    def clean(self) -> None:
        """A key is named by its id."""
        if self.key in ("", HEALING):
            return
        try:
            self.key = str(UUID(self.key))
        except ValueError:
            raise ValidationError({"key": "Choose an API key."}) from None


class AiSpend(models.Model):
    """What a caller used of a model on a day (UTC), added up; kept when calls are forgotten."""

    day = models.DateField()
    key = models.CharField(max_length=36, blank=True, default="")
    purpose = models.CharField(max_length=20, default="edge")
    model = models.CharField(max_length=200, blank=True, default="", help_text="Who answered; else who was asked.")
    provider = models.CharField(max_length=63, blank=True, default="")
    requests = models.BigIntegerField(default=0)
    failed = models.BigIntegerField(default=0, help_text="Of them: refused or failed.")
    rescued = models.BigIntegerField(default=0, help_text="Of them: answered by a fallback or a canned answer.")
    cached = models.BigIntegerField(default=0, help_text="Of them: answered from the cache.")
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    cost = models.DecimalField(max_digits=20, decimal_places=9, default=0)
    saved = models.DecimalField(max_digits=20, decimal_places=9, default=0)
    seconds = models.FloatField(default=0)

    class Meta:
        ordering = ["-day", "key", "model"]
        verbose_name = "AI spend"
        verbose_name_plural = "AI spend"
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["day", "key", "purpose", "model", "provider"], name="one_ai_spend_a_day")]

    def __str__(self) -> str:
        return f"{self.day} {self.model}: {self.requests}"


class AiCall(models.Model):
    """One call and its end. ``calls`` > 1: a sum of calls whose details did not fit into memory while the database was away."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField()
    calls = models.PositiveIntegerField(default=1)
    key = models.CharField(max_length=36, blank=True, default="")
    purpose = models.CharField(max_length=20, default="edge")
    endpoint = models.CharField(max_length=40)
    model_asked = models.CharField(max_length=200, blank=True, default="")
    model_served = models.CharField(max_length=200, blank=True, default="")
    provider = models.CharField(max_length=63, blank=True, default="")
    stream = models.BooleanField(default=False)
    status = models.PositiveIntegerField()
    outcome = models.CharField(max_length=10)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    cost = models.DecimalField(max_digits=20, decimal_places=9, default=0)
    saved_cost = models.DecimalField(max_digits=20, decimal_places=9, default=0)
    estimated = models.BooleanField(
        default=False, db_default=False, help_text="Tokens and cost are guessed: a provider did not say, or did not answer in time."
    )
    seconds = models.FloatField(default=0)
    first_token_seconds = models.FloatField(null=True)
    attempts = models.JSONField(default=list)
    error = models.TextField(blank=True, default="")
    request_body = models.TextField(blank=True, default="", help_text="Redacted.")
    answer_body = models.TextField(blank=True, default="", help_text="Redacted.")

    class Meta:
        ordering = ["-at"]
        verbose_name = "AI call"
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["-at"], name="ai_call_at"),
            models.Index(fields=["key", "-at"], name="ai_call_key"),
            models.Index(fields=["model_asked", "-at"], name="ai_call_model"),
        ]

    def __str__(self) -> str:
        return f"{self.model_asked} {self.outcome}"


class AiNotice(models.Model):
    """That a caller passed a budget: told once in a period."""

    key = models.CharField(max_length=36, blank=True, default="")
    kind = models.CharField(max_length=4, choices=[("soft", "warned"), ("hard", "refused")])
    period = models.CharField(max_length=5)
    period_start = models.DateField()
    spent = models.DecimalField(max_digits=20, decimal_places=9)
    budget = models.DecimalField(max_digits=12, decimal_places=4)
    at = models.DateTimeField(db_default=Now())

    class Meta:
        ordering = ["-at"]
        verbose_name = "budget notice"
        default_permissions = ("view",)
        constraints = [models.UniqueConstraint(fields=["key", "kind", "period", "period_start"], name="each_ai_notice_once")]

    def __str__(self) -> str:
        return f"{self.key or 'no key'}: {self.kind} {self.period} {self.period_start}"


class AiSettings(InForce):
    """What holds for all; the only row has id 1."""

    default_model = models.ForeignKey(
        AiModel, null=True, blank=True, on_delete=models.SET_NULL, related_name="+", limit_choices_to={"kind": Kind.CHAT},
        help_text="What healing asks. Empty = AI_MODEL of the environment.",
    )  # fmt: skip
    unknown_to_default = models.BooleanField(
        "unknown names go to the default model", default=False, help_text="Else a name that no model has is refused with 404."
    )
    cache_seconds = models.FloatField(
        default=0, validators=[MinValueValidator(0), MaxValueValidator(2_592_000)],
        help_text="How long answers are kept for callers that ask for it (Mendgate-Cache: on); 0 = the cache is off.",
    )  # fmt: skip
    log_bodies = models.BooleanField(default=False, help_text="Store requests and answers with the log, redacted.")
    retention_days = models.PositiveIntegerField(
        default=30, validators=[MinValueValidator(1), MaxValueValidator(3650)], help_text="Days after which calls are forgotten; sums stay."
    )
    retry_ratio = models.FloatField(
        "retries per request", default=0.2, validators=[MinValueValidator(0), MaxValueValidator(2)],
        help_text="Retries and fallbacks per request, over ten seconds, at most: 0.2 is one in five.",
    )  # fmt: skip
    retry_floor = models.PositiveIntegerField(
        "retries always allowed", default=3, validators=[MaxValueValidator(1000)], help_text="So many in ten seconds, however few requests."
    )

    class Meta:
        verbose_name = "AI settings"
        verbose_name_plural = "AI settings"
        constraints = [models.CheckConstraint(condition=Q(pk=1), name="one_row_of_ai_settings")]

    def __str__(self) -> str:
        return "AI settings"

    @classmethod
    def load(cls) -> AiSettings:
        """The row; its defaults where it was never saved."""
        return cls.objects.filter(pk=1).first() or cls(pk=1)

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.pk = 1
        super().save(*args, **kwargs)
