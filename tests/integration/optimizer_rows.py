"""Rows that the optimizer's tests start from: proposals, and minutes of metrics as a process would have flushed them."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from healing.core.tuned import BLOCK
from metrics.core.sketch import Sketch, dump
from metrics.models import Flush
from optimizer import propose
from optimizer.core.idea import Expected, Idea
from optimizer.models import Proposal, Setting

START = datetime(2026, 1, 5, tzinfo=UTC)


def batch_idea(old: float = 500.0, new: float = 400.0) -> Idea:
    """A step of the batch size."""
    expected = Expected("time of a write", 0.0, -0.05, 0.05, "share of it")
    return Idea(kind="setting", proposer="batch size", name="batch_rows", old=old, new=new, sentence="Batches smaller.", expected=expected)


def open_batch(now: datetime, **more: Any) -> Proposal:
    """An open proposal of it."""
    row = propose.store(batch_idea(**more), None, now)
    assert row is not None
    return row


def write_minutes(setting: Setting, since: datetime, until: datetime, *, slower: float, writes: int = 200, jitter: float = 0.0) -> None:
    """Writes in each minute between: 4 ms each; where the candidate's turn is, times ``slower``."""
    import msgspec

    from healing.core.tuned import Trial, arm_at

    setting.refresh_from_db()
    trial = msgspec.convert(setting.trial, Trial)
    flushes = []
    at = since
    while at < until:
        turn = arm_at(trial, at.timestamp()) if trial.begins <= at.timestamp() < trial.until else "rest"
        if turn != "rest" and at.timestamp() % BLOCK >= BLOCK / 2:
            noise = 1 + jitter * ((int(at.timestamp()) * 2654435761) % 1000 / 500 - 1)
            flushes.append(_flush(at + timedelta(seconds=30), writes, 0.004 * noise * (slower if turn == "candidate" else 1.0)))
        at += timedelta(minutes=1)
    Flush.objects.bulk_create(flushes)


def _flush(at: datetime, writes: int, seconds: float) -> Flush:
    sketch = Sketch()
    for _ in range(writes):
        sketch.add(seconds)
    body = {
        "counters": [[["mendgate_writes_total", "public.t", "insert", "healthy", "k"], writes]],
        "sketches": [[["mendgate_write_seconds", "public.t", "insert", "healthy"], dump(sketch)]],
    }
    return Flush(boot=uuid.uuid4(), number=0, at=at, body=body)
