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


class FeedbackIn(Schema):
    """Was the heal right? ``comment`` for the reviewers."""

    right: bool
    comment: str = Field("", max_length=2000, pattern=NO_NUL)
