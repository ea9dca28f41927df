"""What is known of transactions: records that commits left in the target are stored here, those that nobody tells of any more are settled,
old ones are forgotten."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import psycopg
from django.conf import settings
from django.utils import timezone

from breakers.forgetting import BATCH, delete_old
from healing.gateway.seal import seal
from healing.gateway.transactions.story import Record
from healing.models import TransactionLog
from healing.target import target_connection

State = TransactionLog.State
SILENT = timedelta(seconds=90)
"""Without a sign of life for so long (they come every 15 s) a transaction's process is gone, or cannot tell. A transaction that commits
later than this says so itself."""
_COLUMNS = ["at", "ended_at", "alive_at", "state", "code", "isolation", "attempts", "seconds", "operations", "healed", "sealed"]
_OLD = "DELETE FROM healing_transactionlog WHERE id IN (SELECT id FROM healing_transactionlog WHERE at < %s ORDER BY at LIMIT %s)"
_LANDED = "SELECT id FROM mendgate.receipts WHERE id = ANY(%s)"
_HAS_RECORDS = "SELECT to_regclass('mendgate.receipts') IS NOT NULL"


def store_committed(records: list[bytes]) -> None:
    """Stores records of commits. They are the truth: whatever was told of the transaction before gives way."""
    rows = [_row(msgspec.json.decode(record, type=Record)) for record in records]
    TransactionLog.objects.bulk_create(rows, update_conflicts=True, unique_fields=["id"], update_fields=_COLUMNS)


def settle() -> int:
    """Says what became of transactions without a sign of life: without a record in the target they did not land. Those whose record is
    still to be moved are left for the next time; all where the target keeps no records. Returns how many were settled."""
    silent = TransactionLog.objects.filter(state__in=[State.BEGUN, State.UNKNOWN], alive_at__lt=timezone.now() - SILENT)
    ids = list(silent.order_by("alive_at").values_list("pk", flat=True)[:BATCH])
    if not ids:
        return 0
    with target_connection() as target:
        if not _one(target, _HAS_RECORDS):
            return silent.filter(pk__in=ids, state=State.BEGUN).update(state=State.UNKNOWN)
        waiting = [row[0] for row in target.execute(_LANDED, [ids])]
    return silent.filter(pk__in=set(ids) - set(waiting)).update(state=State.ROLLED_BACK, ended_at=timezone.now())


def prune(batches: int = 20) -> int:
    """Deletes what is older than TRANSACTIONS_KEPT_DAYS, in batches that hold no lock for long. Returns how many went."""
    return delete_old(_OLD, settings.TRANSACTIONS_KEPT_DAYS, batches)


def _row(record: Record) -> TransactionLog:
    at = datetime.fromtimestamp(record.at, UTC)
    facts = msgspec.structs.asdict(record)
    sealed = seal(bytes(facts.pop("story")))
    ended = at + timedelta(seconds=record.seconds)
    return TransactionLog(**{**facts, "at": at, "tables": list(record.tables)}, ended_at=ended, alive_at=ended, sealed=sealed)


def _one(target: psycopg.Connection[tuple[object, ...]], query: str) -> object:
    row = target.execute(query).fetchone()
    return row[0] if row else None
