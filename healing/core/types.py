"""The values that the healing core works on. All frozen, all JSON-able with msgspec; no I/O anywhere in the core.

JSON values (``Json``) are what ``msgspec.json.Decoder(float_hook=Decimal)`` yields: None, bool, int (any size), Decimal,
str, list, dict. Decimals keep the digits that were sent; nothing is ever turned into a float.
"""

from __future__ import annotations

from decimal import Decimal
from enum import StrEnum
from typing import Any

import msgspec
from msgspec import Struct, field

from healing.core import signature
from schema_monitor.core.snapshot import Relation

Json = Any
"""None | bool | int | Decimal | str | list[Json] | dict[str, Json]"""
Row = dict[str, Json]
NUMBER = (int, Decimal)
_as_json = msgspec.json.Encoder(decimal_format="number").encode


class Operation(StrEnum):
    """What a write does. Reads never enter the core; their names are resolved by the planner."""

    INSERT = "insert"
    UPSERT = "upsert"
    UPDATE = "update"
    DELETE = "delete"
    RPC = "rpc"


class Healing(StrEnum):
    """How far healing may go by itself, in rising order."""

    OFF = "off"
    EXACT = "exact"
    APPROVED = "approved"
    CERTIFIED = "certified"
    ASSISTED = "assisted"


class Kind(StrEnum):
    """What is wrong with a payload, one word a kind. Part of the error signature."""

    UNKNOWN_COLUMN = "unknown_column"
    REUSED_NAME = "reused_name"
    """the name is live, but it used to belong to a column that now lives under another name."""
    UNKNOWN_TABLE = "unknown_table"
    RAGGED = "ragged"
    INVALID_VALUE = "invalid_value"
    """22P02, 22007, 22008: the text is no value of the type."""
    UNKNOWN_LABEL = "unknown_label"
    """an enum label, or a value outside a check list."""
    OUT_OF_RANGE = "out_of_range"
    TOO_LONG = "too_long"
    UNTRANSLATABLE = "untranslatable"
    """NUL in text, 22P05."""
    MISSING_VALUE = "missing_value"
    """23502."""
    MISSING_PARENT = "missing_parent"
    """23503."""
    CHECK = "check"
    """23514, 23P01."""
    GENERATED = "generated"
    """428C9: a generated or identity-always column was written."""
    CONFLICT_TARGET = "conflict_target"
    """42P10, 21000."""
    LOSSY = "lossy"
    """Postgres would accept it and change the value."""
    VERIFY = "verify"
    """what was stored is not what was meant."""
    OTHER = "other"


class Failure(Struct, frozen=True):
    """A database error as Postgres said it. ``column``/``constraint`` only where the server named them."""

    code: str
    message: str
    details: str | None = None
    hint: str | None = None
    column: str | None = None
    constraint: str | None = None
    table: str | None = None
    schema: str | None = None
    retry_after: int | None = None
    """seconds, where it is known when to try again."""


class Misfit(Struct, frozen=True):
    """One thing that does not fit. ``column`` is the key as the caller sent it ('' where no key is meant)."""

    kind: Kind
    column: str = ""
    value: Json = None
    expected: str = ""
    """the column's type, or what would have been accepted, for the explanation."""
    rows: tuple[int, ...] = ()
    """indexes of the rows that have it."""

    @property
    def signature(self) -> str:
        """Stable text that rules and quarantine groups match on, e.g. ``unknown_column:metadata``. Values are part of it
        only for labels (``unknown_label:status=Happy``); a check over several columns is named by its constraint."""
        if self.kind is Kind.UNKNOWN_LABEL:
            label = self.value if isinstance(self.value, str) else _as_json(self.value).decode()
            return signature.of_label(self.kind, self.column, label)
        if self.kind is Kind.CHECK and not self.column:
            return signature.of(self.kind, self.expected)
        return signature.of(self.kind, self.column)


class Change(Struct, frozen=True):
    """A value that would be, or was, stored differently from what was sent. ``sent``/``stored`` are short texts."""

    column: str
    sent: str
    stored: str
    why: str = ""


class Statement(Struct, frozen=True):
    """A write: its rows as sent (for update: one row), and the relation by name as sent.

    ``on_conflict`` are column names as sent; ``columns`` the ``columns=`` list where one was given (keys outside it are ignored
    by Postgres; a column in it that a row lacks becomes NULL, or its default with ``missing_default``).
    """

    operation: Operation
    schema: str
    table: str
    rows: tuple[Row, ...] = ()
    columns: tuple[str, ...] | None = None
    on_conflict: tuple[str, ...] = ()
    missing_default: bool = False


class Proposal(Struct, frozen=True):
    """A fix somebody may approve. ``fix`` is a list of ops of the fix language as plain dicts; ``probability`` calibrated 0..1;
    ``sentence`` says it to a person; ``evidence`` names what spoke for (``for``) and against (``against``)."""

    fix: tuple[dict[str, Json], ...]
    probability: float
    source: str
    sentence: str
    evidence: dict[str, Json] = field(default_factory=dict)


class Rule(Struct, frozen=True):
    """An approved pattern as the gateway sees it. ``signature`` may join several misfits; all must be there."""

    id: str
    schema: str
    table: str
    """'' = any table of the schema."""
    operation: str
    """'' = any."""
    signature: str
    fix: tuple[dict[str, Json], ...]
    source: str = "person"
    oid: int = 0
    """the relation it was approved for; 0 = bound by name only."""
    columns: dict[str, int] = field(default_factory=dict)
    """live columns it names -> attnum, as they were when it was approved."""
    doubted_by: frozenset[str] = frozenset()
    """callers who said that it is wrong: it is not used for them."""

    def serves(self, operation: str, identity: str) -> bool:
        """Whether it is for that operation, and that caller did not call it wrong."""
        return self.operation in ("", operation) and identity not in self.doubted_by

    def binds(self, relation: Relation) -> bool:
        """Whether the names in the fix still mean the columns they meant when a person approved it."""
        if not self.oid:
            return True
        found = ((relation.column(name), attnum) for name, attnum in self.columns.items())
        return relation.oid == self.oid and all(column is not None and column.attnum == attnum for column, attnum in found)
