"""Facts of the control database about healing: keys, policies, rules, quarantined writes, proposals, receipts.

The gateway reads and writes these tables with plain SQL (``healing/gateway/sql``), so column names here are a contract with it.
Anything that touches several rows is a named function in ``rules``, ``quarantine`` or ``approval``, not here.
"""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.contrib.postgres.indexes import GinIndex
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now


class Role(models.TextChoices):
    """Database roles a key may stand for."""

    ANON = "anon"
    AUTHENTICATED = "authenticated"
    SERVICE = "service_role"


class ApiKey(models.Model):
    """A caller. The key itself is never stored: only a prefix to recognise it and the SHA-256 of the whole."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=100, help_text="Who uses it, e.g. the edge function's name.")
    prefix = models.CharField(max_length=16, unique=True, editable=False)
    hash = models.CharField(max_length=64, unique=True, editable=False)
    role = models.CharField(max_length=63, choices=Role.choices, default=Role.ANON)
    scopes = models.JSONField(
        default=list, blank=True, help_text='Empty = everything its role may do; else of "data", "ai", "api", "breakers", "metrics".'
    )
    requests_per_minute = models.PositiveIntegerField(default=0, blank=True, help_text="Of the data API, over all processes; 0 = no limit.")
    at_once = models.PositiveIntegerField("requests at a time", default=0, blank=True, help_text="0 = no limit.")
    most_bytes = models.PositiveIntegerField("bytes of a body", default=0, blank=True, help_text="0 = what the gateway takes.")
    created_at = models.DateTimeField(auto_now_add=True)
    expires_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        ordering = ["name"]
        verbose_name = "API key"

    def __str__(self) -> str:
        return f"{self.name} ({self.prefix}…)"


class Healing(models.TextChoices):
    """How far healing may go by itself."""

    OFF = "off", "off: pass everything through"
    EXACT = "exact", "exact: lineage and lossless coercion"
    APPROVED = "approved", "approved: exact, and rules a person approved"
    CERTIFIED = "certified", "certified: also proposals proven right on evidence"
    ASSISTED = "assisted", "assisted: also AI fixes that were proven"


class Policy(models.Model):
    """What may be done to writes. The most specific row wins: key and table, then table, then key, then the default row."""

    schema = models.CharField(max_length=63, blank=True, default="", help_text="Empty = every schema.")
    table = models.CharField(max_length=63, blank=True, default="", help_text="Empty = every table.")
    key = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.CASCADE, help_text="Empty = every caller.")
    healing = models.CharField(max_length=10, choices=Healing.choices, default=Healing.APPROVED)
    quarantine = models.CharField(
        max_length=10,
        choices=[("error", "error: the caller gets the error, a person may replay"), ("accept", "accept: 202, replayed automatically")],
        default="error",
    )
    strict = models.BooleanField(default=False, help_text="Refuse a write that Postgres would store differently from what was sent.")
    allow_tx_rollback = models.BooleanField(default=False, help_text="Honour Prefer: tx=rollback.")
    auto_certify = models.BooleanField(
        "rules by themselves",
        default=False,
        help_text="Exact fixes with strong evidence become rules without a click; the first reversal ends them. One table, every caller.",
    )

    class Meta:
        verbose_name_plural = "policies"
        constraints = [
            models.CheckConstraint(
                condition=Q(auto_certify=False) | (~Q(table="") & Q(key__isnull=True)),
                name="rules_by_themselves_are_asked_for_by_table",
                violation_error_message="Rules by themselves are for one table and every caller: name the table, leave the key empty.",
            ),
            models.UniqueConstraint(fields=["schema", "table", "key"], name="one_policy_per_place", nulls_distinct=False),
        ]

    def __str__(self) -> str:
        place = ".".join(p for p in (self.schema, self.table) if p) or "everywhere"
        return f"{place}: {self.healing}" + (f" for {self.key}" if self.key else "")


class Source(models.TextChoices):
    """Who found a fix."""

    LINEAGE = "lineage"
    BUILTIN = "builtin"
    MATCHER = "matcher"
    AI = "ai"
    PERSON = "person"


class Rule(models.Model):
    """A pattern: where it applies, a fix, where it came from, its state and its evidence."""

    class State(models.TextChoices):
        PROPOSED = "proposed"
        APPROVED = "approved"
        ACTIVE = "active"
        REVIEW = "review", "back to review"
        DEMOTED = "demoted"
        RETIRED = "retired"
        REJECTED = "rejected"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    schema = models.CharField(max_length=63)
    table = models.CharField(max_length=63, blank=True, default="", help_text="Empty = any table.")
    operation = models.CharField(max_length=10, blank=True, default="", help_text="Empty = any operation.")
    signature = models.TextField(help_text="The misfits it mends, e.g. unknown_column:metadata")
    fix = models.JSONField()
    sentence = models.TextField()
    source = models.CharField(max_length=10, choices=Source.choices, default=Source.PERSON)
    state = models.CharField(max_length=10, choices=State.choices, default=State.PROPOSED)
    content_hash = models.CharField(max_length=64, editable=False)
    relation_fingerprint = models.CharField(max_length=64, blank=True, default="", editable=False)
    bound = models.JSONField(
        default=dict, blank=True, editable=False, help_text="oid of the relation and attnums of the columns it was approved for."
    )
    author = models.CharField(max_length=150, blank=True, default="")
    approved_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    approved_at = models.DateTimeField(null=True, blank=True)
    certified_at = models.DateTimeField(null=True, blank=True, editable=False, help_text="It became active by evidence, without a click.")
    proof = models.JSONField(default=dict, blank=True, editable=False, help_text="The proof pack as it was when it became active.")
    why = models.TextField(blank=True, default="", help_text="Why it was rejected, demoted or retired.")
    created_at = models.DateTimeField(auto_now_add=True)
    successes = models.PositiveIntegerField(default=0)
    failures = models.PositiveIntegerField(default=0)
    reversals = models.PositiveIntegerField(default=0)
    reversals_known = models.PositiveIntegerField(default=0, editable=False, help_text="Those that a person knew of who approved it.")
    last_used_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-created_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["schema", "table", "operation", "signature"],
                condition=Q(state="active"),
                name="one_active_rule_per_signature",
            ),
            models.CheckConstraint(
                condition=~Q(state="active")
                | Q(approved_by__isnull=False)
                | Q(certified_at__isnull=False)
                | Q(source__in=["lineage", "builtin"]),
                name="active_rules_are_approved",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.schema}.{self.table or '*'}: {self.sentence}"


class QuarantineItem(models.Model):
    """A write that was kept: the request as it came (sealed), whose it was, why it did not fit, and what became of it."""

    class State(models.TextChoices):
        WAITING = "waiting"
        REPLAYING = "replaying"
        REPLAYED = "replayed"
        PARKED = "parked", "parked: replay failed, a person must look"
        CONFLICT = "conflict", "conflict: a newer write touched the same row"
        DISCARDED = "discarded"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    number = models.BigIntegerField(
        unique=True,
        editable=False,
        db_default=models.Func(models.Value("healing_quarantine_number"), function="nextval", output_field=models.BigIntegerField()),
        help_text="Order of arrival.",
    )
    created_at = models.DateTimeField(db_default=Now())
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING, db_default="waiting")
    schema = models.CharField(max_length=63)
    table = models.CharField(max_length=200)
    operation = models.CharField(max_length=10)
    signature = models.TextField(help_text="What did not fit; items with the same one share proposals.")
    request = models.BinaryField(help_text="Sealed: method, path, query, headers that matter, body.")
    shape = models.JSONField(
        default=dict,
        db_default=models.Value({}, output_field=models.JSONField()),
        help_text="Keys and value types of the first row; no values.",
    )
    row_count = models.PositiveIntegerField(default=1, db_default=1)
    error = models.JSONField(help_text="code, message, details, hint as the caller got them; redacted details.")
    key = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.SET_NULL)
    role = models.CharField(max_length=63)
    subject = models.TextField(blank=True, default="", db_default="", help_text="The sub claim.")
    claims = models.BinaryField(help_text="Sealed: the verified claims when the write came.")
    token_expires_at = models.DateTimeField(null=True, blank=True)
    automatic = models.BooleanField(default=False, db_default=False, help_text="quarantine=accept: replay without asking.")
    idempotency_key = models.TextField(null=True, blank=True)
    request_hash = models.CharField(max_length=64, blank=True, default="", db_default="")
    row_versions = models.TextField(
        blank=True, default="", db_default="", help_text="Digest of the rows an update would have hit, to see newer writes."
    )
    relation_fingerprint = models.CharField(max_length=64, blank=True, default="", db_default="")
    receipt = models.UUIDField()
    attempts = models.PositiveIntegerField(default=0, db_default=0)
    lease_until = models.DateTimeField(null=True, blank=True)
    last_error = models.JSONField(null=True, blank=True)
    replayed_at = models.DateTimeField(null=True, blank=True)
    replay_receipt = models.UUIDField(null=True, blank=True)
    replay = models.ForeignKey(
        "Replay", null=True, blank=True, on_delete=models.SET_NULL, related_name="items", help_text="The order to replay it.",
        db_index=False,
    )  # fmt: skip
    why = models.TextField(blank=True, default="", db_default="")
    assist = models.ForeignKey(
        "AssistRun",
        null=True,
        blank=True,
        on_delete=models.SET_NULL,
        related_name="healed",
        help_text="The AI's run whose proven fix it lands, or landed, with.",
    )

    class Meta:
        ordering = ["number"]
        indexes = [
            models.Index(fields=["state", "number"], name="quarantine_state_number"),
            models.Index(fields=["schema", "table", "signature"], name="quarantine_cause"),
            models.Index(fields=["role"], name="quarantine_role"),
            models.Index(fields=["replay", "state"], name="quarantine_of_an_order"),
            models.Index(fields=["replay", "number"], condition=Q(state="waiting"), name="quarantine_due"),
            models.Index(
                fields=["schema", "table"],
                condition=Q(state="waiting", attempts=0, lease_until__isnull=False, replay__isnull=False),
                name="quarantine_held_by_an_outage",
            ),
        ]
        constraints = [
            models.UniqueConstraint(
                fields=["key", "role", "subject", "idempotency_key"],
                condition=Q(idempotency_key__isnull=False),
                nulls_distinct=False,
                name="kept_once_per_idempotency_key",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.operation} {self.schema}.{self.table}: {self.signature}"


class Replay(models.Model):
    """An order to replay items of the quarantine; the items point at it. The RQ job is only a doorbell, this row is the truth."""

    class State(models.TextChoices):
        RUNNING = "running"
        PAUSED = "paused"
        CANCELLED = "cancelled"
        DONE = "done"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(auto_now_add=True)
    finished_at = models.DateTimeField(null=True, blank=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.RUNNING)
    asked_by = models.CharField(max_length=150, help_text="A person's name, or what started it.")
    why = models.TextField(blank=True, default="")
    rule = models.ForeignKey(Rule, null=True, blank=True, on_delete=models.SET_NULL)
    automatic = models.BooleanField(default=False, help_text="Nobody asked: an item that still does not fit waits on, it is not parked.")
    total = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.state}: {self.total} items, {self.why or self.asked_by}"


class ReplayPace(models.Model):
    """One row: when the next replay may begin. Whoever claims writes moves it on, so the cap holds for all workers together."""

    id = models.PositiveSmallIntegerField(primary_key=True, default=1, editable=False)
    free_at = models.DateTimeField(db_default=Now())

    class Meta:
        default_permissions = ()
        constraints = [models.CheckConstraint(condition=Q(id=1), name="one_pace_for_all_workers")]


class Decision(models.Model):
    """The audit: who decided what, when and why. Append-only (a trigger forbids more), each row's hash covers the one before."""

    id = models.BigAutoField(primary_key=True)
    number = models.BigIntegerField(unique=True, help_text="1, 2, 3 … without gaps; a trigger sees to it.")
    at = models.DateTimeField()
    who = models.CharField(max_length=150)
    action = models.CharField(max_length=30)
    kind = models.CharField(max_length=20, help_text="proposal, rule, quarantine, replay, key or policy")
    subject = models.CharField(max_length=64, help_text="Its id.")
    content_hash = models.CharField(max_length=64, blank=True, default="")
    why = models.TextField(blank=True, default="")
    prev_hash = models.CharField(max_length=64, blank=True)
    hash = models.CharField(max_length=64, unique=True)

    class Meta:
        ordering = ["-id"]
        default_permissions = ("view",)

    def __str__(self) -> str:
        return f"{self.who}: {self.action} {self.kind} {self.subject}"


class Proposal(models.Model):
    """A fix for one cause (relation, operation-independent signature), waiting for a person."""

    class State(models.TextChoices):
        OPEN = "open"
        APPROVED = "approved"
        REJECTED = "rejected"
        SUPERSEDED = "superseded"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    created_at = models.DateTimeField(db_default=Now())
    schema = models.CharField(max_length=63)
    table = models.CharField(max_length=200)
    signature = models.TextField()
    fix = models.JSONField()
    probability = models.FloatField()
    source = models.CharField(max_length=10, choices=Source.choices)
    sentence = models.TextField()
    evidence = models.JSONField(default=dict, db_default=models.Value({}, output_field=models.JSONField()))
    author = models.CharField(max_length=150, blank=True, default="", db_default="", help_text="Who wrote it, where a person did.")
    written_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+",
        help_text="The same person, whatever the name is now.",
    )  # fmt: skip
    content_hash = models.CharField(max_length=64)
    state = models.CharField(max_length=10, choices=State.choices, default=State.OPEN, db_default="open")
    rule = models.ForeignKey(Rule, null=True, blank=True, on_delete=models.SET_NULL)
    decided_by = models.ForeignKey(settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    decided_at = models.DateTimeField(null=True, blank=True)
    why = models.TextField(blank=True, default="", db_default="")
    snoozed_until = models.DateTimeField(null=True, blank=True, help_text="The queue does not show it before.")

    class Meta:
        ordering = ["-probability"]
        constraints = [
            models.UniqueConstraint(fields=["schema", "table", "signature", "content_hash"], name="a_fix_is_proposed_once_per_cause"),
            models.CheckConstraint(condition=Q(probability__gte=0) & Q(probability__lte=1), name="probability_is_one"),
        ]

    def __str__(self) -> str:
        return f"{self.schema}.{self.table}: {self.sentence}"


class Receipt(models.Model):
    """What was sent, what was stored, and why they differ. Written by the gateway; kept in the target first, copied here."""

    class Outcome(models.TextChoices):
        COMMITTED = "committed"
        QUARANTINED = "quarantined"
        REPLAYED = "replayed"
        REJECTED = "rejected"
        UNDONE = "undone"

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    at = models.DateTimeField(db_default=Now())
    outcome = models.CharField(max_length=12, choices=Outcome.choices)
    schema = models.CharField(max_length=63)
    table = models.CharField(max_length=200)
    operation = models.CharField(max_length=10)
    key = models.UUIDField(null=True, blank=True)
    role = models.CharField(max_length=63)
    subject = models.TextField(blank=True, default="", db_default="")
    fixes = models.JSONField(
        default=list,
        db_default=models.Value([], output_field=models.JSONField()),
        help_text='[{"op":…,"source":…,"rule":id|null,"rows":[…]}]',
    )
    changes = models.JSONField(
        default=list, db_default=models.Value([], output_field=models.JSONField()), help_text="column and why; values are sealed."
    )
    sealed = models.BinaryField(null=True, blank=True, help_text='Sealed JSON {"sent":[…],"stored":[…],"changes":[…]}')
    quarantine = models.UUIDField(null=True, blank=True)
    writer = models.CharField(
        max_length=20, blank=True, default="", db_default="", help_text="The target's transaction that wrote the rows."
    )
    feedback = models.JSONField(null=True, blank=True)
    marks = ArrayField(models.BigIntegerField(), null=True, blank=True, editable=False, help_text="Of its keys' values (case_marks).")

    class Meta:
        verbose_name = "case"
        ordering = ["-at"]
        indexes = [
            GinIndex(fields=["marks"], name="receipt_marks"),
            models.Index(fields=["-at"], condition=Q(marks=None), name="receipt_unmarked"),
            models.Index(fields=["key", "-at"], name="receipt_key_at"),
            models.Index(fields=["subject", "-at"], condition=~Q(subject=""), name="receipt_subject_at"),
            models.Index(fields=["quarantine"], condition=Q(quarantine__isnull=False), name="receipt_of_a_kept_write"),
            models.Index(fields=["-at"], name="receipt_at"),
            models.Index(fields=["schema", "table", "-at"], name="receipt_table_at"),
            GinIndex(fields=["fixes"], opclasses=["jsonb_path_ops"], name="receipt_fixes"),
        ]

    def __str__(self) -> str:
        return f"{self.outcome} {self.schema}.{self.table} {self.at:%Y-%m-%d %H:%M:%S}"


from healing.assist.models import AssistRun, Prompt  # noqa: E402 - they belong to this app, and point at the rows above
from healing.certified.models import MatchVerdict  # noqa: E402
from healing.doubt_models import Doubt  # noqa: E402
from healing.gameday_models import GameDay  # noqa: E402
from healing.review_models import Approval, ReviewRules  # noqa: E402 - these too
from healing.scan_models import ScanRun  # noqa: E402
from healing.schema_fixes.models import SchemaFix  # noqa: E402
from healing.take_back.models import TakeBack, TakeBackItem  # noqa: E402
from healing.transaction_models import TransactionLog  # noqa: E402

__all__ = [
    "ApiKey",
    "Approval",
    "AssistRun",
    "Decision",
    "Doubt",
    "GameDay",
    "Healing",
    "MatchVerdict",
    "Policy",
    "Prompt",
    "Proposal",
    "QuarantineItem",
    "Receipt",
    "Replay",
    "ReviewRules",
    "Role",
    "Rule",
    "ScanRun",
    "SchemaFix",
    "Source",
    "TakeBack",
    "TakeBackItem",
    "TransactionLog",
]
