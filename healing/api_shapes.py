"""The shapes that the API answers with, for the documentation and as the only place where field names are decided."""

from __future__ import annotations

from datetime import datetime
from typing import Any
from uuid import UUID

from ninja import Field, Schema

NO_NUL = r"^[^\x00]*$"
"""Postgres keeps every character but this one."""


class Error(Schema):
    """Every error: four keys, each a string or null, as PostgREST has it."""

    code: str | None
    message: str | None
    details: str | None
    hint: str | None


class ProposalOut(Schema):
    """A fix that a person may approve in the dashboard."""

    id: UUID
    fix: list[dict[str, Any]]
    probability: float
    source: str
    sentence: str
    evidence: dict[str, Any]


class SchemaProposalOut(Schema):
    """A migration that would let the write land, and everything else that waits for the same reason. A person may approve it in the
    dashboard; ``state`` is open until then. ``cases`` counts waiting writes; ``settles`` and ``leaves`` are misfits."""

    id: UUID
    kind: str = Field(description="add_column, add_label, allow_value, widen_type, change_type, drop_not_null, create_table or several")
    sql: str
    migration: str = Field(description="A file name in Supabase's manner.")
    sentence: str
    evidence: dict[str, Any] = Field(description='"for", "against", and "columns": name, type, nullable, default')
    settles: list[str]
    leaves: list[str]
    cases: int
    waiting: str
    state: str
    error: Error | None


class AlternativeOut(Schema):
    """A way without DDL: what it loses, and how many of the waiting rows it fits."""

    fix: list[dict[str, Any]]
    sentence: str
    loses: str
    fits: int
    rows: int
    leaves: list[str]


class QuarantineOut(Schema):
    """A write that was kept. ``payload`` holds its rows (types instead of values for anonymous callers)."""

    id: UUID
    state: str
    schema_: str = Field(serialization_alias="schema")
    table: str
    operation: str
    payload: list[Any]
    error: Error
    proposals: list[ProposalOut]
    schema_proposals: list[SchemaProposalOut]
    alternatives: list[AlternativeOut]
    receipt: UUID
    created_at: datetime
    attempts: int
    automatic: bool
    last_error: Error | None
    replay_receipt: UUID | None


class ReceiptOut(Schema):
    """What was sent, what was stored, and why they differ."""

    id: UUID
    at: datetime
    outcome: str
    schema_: str = Field(serialization_alias="schema")
    table: str
    operation: str
    sent: list[Any] | None
    stored: list[Any] | None
    changes: list[Any]
    fixes: list[Any]
    rule: str | None
    quarantine: UUID | None
    feedback: dict[str, Any] | None
    source_patch: str | None = Field(description="A TypeScript diff of the call, without values: what to change so that no fix is needed.")


class FeedbackIn(Schema):
    """Was the heal right? ``comment`` for the reviewers."""

    right: bool
    comment: str = Field("", max_length=2000, pattern=NO_NUL)
