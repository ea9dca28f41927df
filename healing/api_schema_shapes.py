"""The shapes of ``/api/v1/schema``."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from ninja import Field, Schema


class VersionOut(Schema):
    """A schema version."""

    epoch: int
    taken_at: datetime
    fingerprint: str
    summary: str
    cause: str


class DifferenceOut(Schema):
    """One difference between two versions. ``old`` and ``new`` are for service_role only."""

    kind: str
    severity: str
    schema_: str = Field(serialization_alias="schema")
    relation: str
    object: str
    old: Any = None
    new: Any = None
    sentence: str
    breaks_old_writers: bool
    breaks_old_readers: bool
    inferred: bool


class ChangeOut(DifferenceOut):
    """One difference between a version and the one before. ``severity`` is weighed by the traffic that it hits, ``base_severity`` that of
    its kind. Who did it (``tag``, ``usr``, ``app``), whom it ``hits``, ``old`` and ``new`` are for service_role only."""

    epoch: int
    taken_at: datetime
    base_severity: str
    hits: dict[str, Any] | None = None
    tag: str | None = None
    usr: str | None = None
    app: str | None = None


class VersionDetailOut(VersionOut):
    """A schema version with what changed in it, and how much it holds."""

    changes: list[ChangeOut]
    relations: int
    enums: int
    functions: int


class DiffOut(Schema):
    """What changed between any two versions, the worst first."""

    from_: int = Field(serialization_alias="from")
    to: int
    summary: str
    changes: list[DifferenceOut]


class ImpactIn(Schema):
    """DDL as it would be run: one or more statements."""

    ddl: str = Field(..., min_length=1, max_length=64_000, examples=["ALTER TABLE users RENAME email TO email_address;"])


class RefusalOut(Schema):
    """A statement that the database refuses; ``number`` counts from 1."""

    number: int
    line: int
    statement: str
    code: str
    message: str
    details: str | None
    hint: str | None


class WeighedOut(DifferenceOut):
    """One difference that the DDL makes."""

    base_severity: str
    hits: dict[str, Any]


class RemedyOut(Schema):
    """A rule that would settle it; ``fix`` is empty where a person must name the value first."""

    sentence: str
    fix: list[dict[str, Any]]


class ReasonOut(Schema):
    """One thing about a shape; ``code`` and ``message`` are the error that the caller would get."""

    verdict: str
    sentence: str
    column: str
    code: str
    message: str
    signature: str
    remedies: list[RemedyOut]


class JudgedOut(Schema):
    """What one caller sends in one shape, and what becomes of it: fits, heals, depends (on values), needs_rule, breaks."""

    schema_: str = Field(serialization_alias="schema")
    table: str
    operation: str
    keys: list[str]
    named: list[str]
    key: str | None
    caller: str
    role: str
    requests: int
    last_at: datetime | None
    verdict: str
    today: str
    worse: bool
    reasons: list[ReasonOut]


class CallerOut(Schema):
    """Requests of one caller by verdict; ``worse``: how many would be worse off than today."""

    key: str | None
    name: str
    role: str
    verdicts: dict[str, int]
    worse: int


class StepOut(Schema):
    """``wait``: let callers catch up before the next one."""

    sentence: str
    sql: str
    wait: bool


class PlanOut(Schema):
    """The safer way to one of the changes."""

    change: str
    steps: list[StepOut]


class ImpactOut(Schema):
    """What the DDL would do. With a ``refusal`` nothing else is known. ``untouched`` counts the requests that would not notice."""

    epoch: int
    seconds: float
    days: int
    verdict: str
    statements: list[str]
    refusal: RefusalOut | None
    changes: list[WeighedOut]
    shapes: list[JudgedOut]
    shapes_left_out: int
    untouched: int
    callers: list[CallerOut]
    plans: list[PlanOut]
    notes: list[str]
