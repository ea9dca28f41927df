"""Facts about who answers AI calls: providers, their keys, models, fallbacks and canned answers.

Processes read these tables with plain SQL (``breakers/gateway/ai/rows.sql``), so column names here are a contract with it.
"""

from __future__ import annotations

import uuid
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Now

from breakers.ai_changes import InForce
from breakers.models.ai_rules import (
    check_base_url,
    check_headers,
    check_model_name,
    check_provider_name,
    cycle,
    is_private,
    origin,
    price,
    seconds,
)  # fmt: skip


class Kind(models.TextChoices):
    """What a model does."""

    CHAT = "chat", "chat: answers messages"
    EMBEDDING = "embedding", "embedding: turns text into numbers"


class AiProvider(InForce):
    """An OpenAI-compatible service. Its breaker is ``ai:<name>``. Limits in seconds; ``total_seconds`` is a whole request's."""

    name = models.CharField(max_length=63, unique=True, validators=[check_provider_name], help_text="Short, like openai or our-llama.")
    base_url = models.CharField(
        "address", max_length=500, validators=[check_base_url], help_text="Up to and with /v1: https://api.openai.com/v1"
    )
    connect_seconds = models.FloatField("connect", default=3.0, validators=seconds(), help_text="Seconds to get a connection.")
    first_token_seconds = models.FloatField("first token", default=30.0, validators=seconds(), help_text="Seconds until something comes.")
    stall_seconds = models.FloatField("stall", default=20.0, validators=seconds(), help_text="Seconds between two pieces of a stream.")
    total_seconds = models.FloatField(
        "in all", default=120.0, validators=seconds(), help_text="Seconds for a whole request, its retries and fallbacks included."
    )
    headers = models.JSONField(
        default=dict, blank=True, validators=[check_headers], help_text='More headers to send, like {"X-Title": "shop"}. Nothing secret.'
    )
    allow_private = models.BooleanField(
        "may be in a private network", default=False, help_text="Needed for a service on this machine or in your own network."
    )
    enabled = models.BooleanField(default=True, help_text="Off: none of its models is asked; their fallbacks are.")
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "AI provider"
        constraints = [
            models.CheckConstraint(
                condition=Q(connect_seconds__lte=F("first_token_seconds")) & Q(first_token_seconds__lte=F("total_seconds")),
                name="ai_provider_limits_fit",
                violation_error_message="Connecting may take no longer than the first token, and that no longer than all.",
            ),
            models.CheckConstraint(
                condition=Q(connect_seconds__gt=0) & Q(stall_seconds__gt=0),
                name="ai_provider_limits_are_positive",
                violation_error_message="Every limit must be above 0.",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """The address without a slash at the end; private only where that is allowed."""
        self.base_url = self.base_url.strip().rstrip("/")
        if not self.allow_private and is_private(self.base_url):
            raise ValidationError({"base_url": "This address is in a private network. Tick “may be in a private network”, or change it."})
        before = AiProvider.objects.filter(pk=self.pk).first()
        if before is not None and origin(before.base_url) != origin(self.base_url) and self.credentials.exists():
            raise ValidationError({"base_url": "Its keys would go to another host. Remove them first, or add a provider of its own."})


class AiCredential(InForce):
    """A provider's API key: sealed, never shown. The first active one is used; 429 passes to the next, 401, 402 and 403 retire it."""

    class State(models.TextChoices):
        ACTIVE = "active"
        RETIRED = "retired"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    provider = models.ForeignKey(AiProvider, on_delete=models.CASCADE, related_name="credentials")
    label = models.CharField(max_length=100, help_text="Whose it is, or where it came from.")
    secret = models.BinaryField(editable=False, help_text="Sealed.")
    last_four = models.CharField(max_length=4, blank=True, editable=False, help_text="What of it may be shown.")
    position = models.PositiveIntegerField("order", default=0, help_text="The lowest is used first.")
    state = models.CharField(max_length=10, choices=State.choices, default=State.ACTIVE, editable=False)
    why = models.CharField(max_length=500, blank=True, default="", editable=False, help_text="Why it was retired or revived.")
    changed_at = models.DateTimeField(null=True, editable=False, help_text="When it was retired or revived.")
    lifted_at = models.DateTimeField(null=True, editable=False, help_text="When a person said that it need not rest any longer.")
    last_used_at = models.DateTimeField(null=True, editable=False)
    created_at = models.DateTimeField(db_default=Now(), editable=False)

    class Meta:
        ordering = ["provider__name", "position", "created_at"]
        verbose_name = "AI key"
        constraints = [models.UniqueConstraint(fields=["provider", "label"], name="one_ai_key_a_label")]

    def __str__(self) -> str:
        return f"{self.label} (…{self.last_four})"


class AiModel(InForce):
    """A model as callers name it. Prices in US dollars per million tokens; costs and savings are worked out from them."""

    name = models.CharField(max_length=200, unique=True, validators=[check_model_name], help_text="What callers ask for.")
    provider = models.ForeignKey(AiProvider, on_delete=models.PROTECT, related_name="models")
    upstream = models.CharField(max_length=200, blank=True, help_text="What the provider calls it; empty = the same.")
    kind = models.CharField(max_length=10, choices=Kind.choices, default=Kind.CHAT)
    context_tokens = models.PositiveIntegerField("context", default=0, help_text="Tokens that fit, in and out together; 0 = unknown.")
    input_price = models.DecimalField(max_digits=12, decimal_places=6, default=0, validators=price(), help_text="$ per million in.")
    output_price = models.DecimalField(max_digits=12, decimal_places=6, default=0, validators=price(), help_text="$ per million out.")
    cached_price = models.DecimalField(
        max_digits=12, decimal_places=6, null=True, blank=True, validators=price(),
        help_text="$ per million tokens in that the provider had in its cache; empty = as any.",
    )  # fmt: skip
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["name"]
        verbose_name = "AI model"
        constraints = [
            models.CheckConstraint(
                condition=Q(input_price__gte=0) & Q(output_price__gte=0), name="ai_prices_are_not_negative",
                violation_error_message="Prices are 0 or more.",
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return self.name

    def clean(self) -> None:
        """What it does may not change while others fall back to it, or it to others."""
        self.upstream = self.upstream.strip() or self.name
        changed = AiModel.objects.filter(pk=self.pk).exclude(kind=self.kind).exists()
        if changed and AiFallback.objects.filter(Q(model=self) | Q(fallback=self)).exists():
            raise ValidationError({"kind": "It stands in a chain of fallbacks; take it out of there first."})

    def save(self, *args: Any, **kwargs: Any) -> None:
        self.upstream = self.upstream or self.name
        super().save(*args, **kwargs)


class AiFallback(InForce):
    """Who answers instead, in the order of ``position``, when a model cannot."""

    model = models.ForeignKey(AiModel, on_delete=models.CASCADE, related_name="fallbacks")
    fallback = models.ForeignKey(AiModel, on_delete=models.CASCADE, related_name="+")
    position = models.PositiveIntegerField("order", default=0)

    class Meta:
        ordering = ["model__name", "position", "id"]
        verbose_name = "AI fallback"
        constraints = [
            models.UniqueConstraint(fields=["model", "fallback"], name="each_ai_fallback_once"),
            models.CheckConstraint(
                condition=~Q(model=F("fallback")),
                name="ai_fallback_is_another",
                violation_error_message="A model cannot stand in for itself."
            ),
        ]  # fmt: skip

    def __str__(self) -> str:
        return f"{self.model} → {self.fallback}"

    def clean(self) -> None:
        """The same kind, and no way round in circles."""
        if self.model_id is None or self.fallback_id is None:
            return
        if self.model_id == self.fallback_id:
            raise ValidationError({"fallback": "A model cannot stand in for itself."})
        if self.model.kind != self.fallback.kind:
            raise ValidationError({"fallback": f"{self.fallback} is for {self.fallback.kind}, {self.model} for {self.model.kind}."})
        chains: dict[str, list[str]] = {self.model.name: [self.fallback.name]}
        for row in AiFallback.objects.exclude(pk=self.pk).select_related("model", "fallback"):
            chains.setdefault(row.model.name, []).append(row.fallback.name)
        if way := cycle(chains, self.model.name):
            raise ValidationError({"fallback": f"This goes round in circles: {' → '.join(way)}."})


class AiCanned(InForce):
    """An answer for when nobody else can answer; the first that fits is given. It says that it is one."""

    title = models.CharField(max_length=100, help_text="For you; callers do not see it.")
    model = models.ForeignKey(AiModel, null=True, blank=True, on_delete=models.CASCADE, related_name="+", help_text="Empty = any.")
    contains = models.CharField(
        max_length=200, blank=True, default="", help_text="Only where the last message of the user has this, in any case; empty = any."
    )
    content = models.TextField(help_text="What the caller gets.")
    position = models.PositiveIntegerField("order", default=0)
    enabled = models.BooleanField(default=True)

    class Meta:
        ordering = ["position", "id"]
        verbose_name = "canned answer"

    def __str__(self) -> str:
        return self.title

    def clean(self) -> None:
        """Canned answers are sentences, so there are none for embeddings."""
        if self.model is not None and self.model.kind != Kind.CHAT:
            raise ValidationError({"model": "Only chat models can have canned answers."})
