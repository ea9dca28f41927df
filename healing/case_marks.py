"""Finds cases by a key's value without opening them: each receipt has the marks of its keys, and a mark tells nothing by itself.

A mark is a keyed hash (HMAC, the key derived from ``SECRET_KEY``, 64 bits) of a value in a primary, unique or foreign key. Other columns
have none: equal values of few kinds (a state, a flag) would show in the database how often each comes, sealed or not.
Receipts are marked by the sweep, not when they are written; what is not marked yet is looked into instead (``unmarked``).
"""

from __future__ import annotations

import hashlib
import hmac
import logging
import time
from collections.abc import Iterable, Iterator
from decimal import Decimal
from functools import lru_cache
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from django.conf import settings
from django.db.models import QuerySet

from healing.core.types import Json, Row
from healing.gateway.seal import SealError
from healing.live_schema import find_relation, latest_snapshot
from healing.models import Receipt
from healing.refusals import DoesNotFit
from healing.row_diff import renames
from healing.sealed_rows import receipt_facts
from schema_monitor.core.snapshot import Snapshot

logger = logging.getLogger(__name__)
KEYS = ("p", "u", "f")
"""Constraints whose columns say which row it is: primary, unique, foreign key."""
BATCH, BUDGET_SECONDS = 500, 15.0
MOST_OPENED = 500
"""Receipts that a search opens because they have no marks yet."""
MOST_ROWS, LONGEST = 200, 200
"""Of a receipt; of a value, in characters."""


def marks_of(receipt: Receipt, snapshot: Snapshot) -> list[int]:
    """The marks of a receipt's keys, as it was sent and as it was stored."""
    facts, names, keys = receipt_facts(receipt), renames(receipt.fixes), key_columns(snapshot, receipt.schema, receipt.table)
    rows = [row for side in ("sent", "stored") for row in (facts[side] or [])[:MOST_ROWS] if isinstance(row, dict)]
    return sorted({mark(text) for row in rows for text in _key_values(row, names, keys)})


def wanted(text: str) -> list[int]:
    """What to look for when a person asks for this value: a mark for each secret that is or was in force."""
    said = _said(text)
    return [] if said is None else [mark(said, secret) for secret in (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)]


def mark(said: str, secret: str | None = None) -> int:
    """64 bits, as Postgres's bigint holds them."""
    digest = hmac.new(_key(secret or settings.SECRET_KEY), said.encode(), hashlib.sha256).digest()
    return int.from_bytes(digest[:8], signed=True)


def key_columns(snapshot: Snapshot, schema: str, table: str) -> frozenset[str]:
    """The names of the columns that say which row it is; none of a table that is not there any more."""
    relation = find_relation(snapshot, schema, table)
    if relation is None:
        return frozenset()
    numbers = {n for each in relation.constraints if each.kind in KEYS for n in each.columns}
    numbers |= {n for index in relation.unique_indexes for n in index.columns}
    return frozenset(column.name for column in relation.columns if column.attnum in numbers)


def mark_new(budget: float = BUDGET_SECONDS) -> int:
    """Marks what has none yet, the newest first; returns how many. Where no schema is known yet, nothing."""
    done, ends = 0, time.monotonic() + budget
    while receipts := list(unmarked()[:BATCH]):
        try:
            _, snapshot = latest_snapshot()
        except DoesNotFit:
            return done
        for receipt in receipts:
            receipt.marks = _safely(receipt, snapshot)
        done += Receipt.objects.bulk_update(receipts, ["marks"])
        if time.monotonic() > ends:
            break
    return done


def unmarked() -> QuerySet[Receipt]:
    """What the sweep has not marked yet, the newest first."""
    return Receipt.objects.filter(marks=None).order_by("-at")


def holding(text: str, receipts: Iterable[Receipt]) -> Iterator[UUID]:
    """Which of these (unmarked) receipts have a key of that value."""
    said = _said(text)
    if said is None:
        return
    try:
        _, snapshot = latest_snapshot()
    except DoesNotFit:
        return
    yield from (receipt.pk for receipt in receipts if mark(said) in _safely(receipt, snapshot))


def _safely(receipt: Receipt, snapshot: Snapshot) -> list[int]:
    try:
        return marks_of(receipt, snapshot)
    except SealError as error:
        logger.error("receipt %s cannot be found by its keys: %s", receipt.pk, error)
        return []


def _key_values(row: Row, names: dict[str, str], keys: frozenset[str]) -> Iterator[str]:
    for column, value in row.items():
        if column in keys or names.get(column) in keys:
            said = _said(value)
            if said is not None:
                yield said


def _said(value: Json) -> str | None:
    """A value as people type it; None for what is no key."""
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    text = str(value).strip().casefold()
    return text if 0 < len(text) <= LONGEST else None


@lru_cache(maxsize=8)
def _key(secret: str) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=None, info=b"mendgate marks v1").derive(secret.encode())
