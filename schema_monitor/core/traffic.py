"""What callers sent lately, by shape: names only, never a value."""

from __future__ import annotations

from datetime import datetime

from msgspec import Struct

WRITES = frozenset({"insert", "upsert", "update", "delete"})
EVERYTHING = "*"
"""In ``named``: all columns were asked for."""


class RecentShape(Struct, frozen=True):
    """Requests of one shape by one caller, added up over some days. ``relation_oid`` is the relation's (a function's for ``call``),
    ``name`` what the caller called it, ``keys`` the payload's keys as sent, ``named`` the columns it named elsewhere: in filters,
    select, order and on_conflict (``*`` = all)."""

    schema: str
    relation_oid: int
    name: str
    operation: str
    """insert, upsert, update, delete, select or call."""
    keys: tuple[str, ...]
    named: tuple[str, ...]
    shape: str
    role: str
    key: str | None = None
    """id of the API key; None for a caller with a token only."""
    caller: str = ""
    """the key's name, else the role."""
    requests: int = 0
    rows: int = 0
    misfits: int = 0
    """requests that did not fit as they were sent."""
    healed: int = 0
    """those of them that landed."""
    last_at: datetime | None = None


class OldUse(Struct, frozen=True):
    """How often one caller used one former name lately. ``attnum`` 0 is the table's own name; a label has ``enum_oid`` and
    ``label_oid`` and no relation."""

    schema: str
    relation_oid: int
    attnum: int
    enum_oid: int
    label_oid: int
    name: str
    role: str
    key: str | None = None
    caller: str = ""
    uses: int = 0
    last_at: datetime | None = None


class Known(Struct, frozen=True):
    """How far the counts can be believed: recorded since then, and the last moment at which some were lost."""

    since: datetime | None = None
    lost_at: datetime | None = None
