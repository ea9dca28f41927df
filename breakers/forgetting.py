"""Deleting what is older than its time, in batches that hold no lock for long."""

from __future__ import annotations

from datetime import timedelta

from django.db import connection
from django.utils import timezone

BATCH = 2_000


def delete_old(sql: str, days: int, batches: int, batch: int = BATCH) -> int:
    """Runs ``sql``, a DELETE whose parameters are a time and a number of rows, until fewer went than ``batch`` or so many batches did.
    Returns how many rows went."""
    before, gone = timezone.now() - timedelta(days=days), 0
    for _ in range(batches):
        with connection.cursor() as cursor:
            cursor.execute(sql, [before, batch])
            gone += cursor.rowcount
            if cursor.rowcount < batch:
                break
    return gone
