"""A statement that goes to Postgres together with what opens its transaction, instead of behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from healing.gateway.batch import Batch, begin
from healing.gateway.prelude import Prelude
from healing.gateway.sqltext import Query
from healing.gateway.target import Pool
from healing.gateway.wire_messages import Record, Step


def step_of(query: Query) -> Step:
    """The query for the wire. What is no text that a database takes, it refuses."""
    return Step(query.sql, [None if value is None else str(value).encode(errors="surrogatepass") for value in query.params])


async def write(pool: Pool, prelude: Prelude, plan: Query, turn: str) -> tuple[Batch, Mapping[str, Any]]:
    """A transaction in which a write has run (``plan_write``), and its record. Raises ``DatabaseError``: then it is over."""
    batch = await begin(pool, (prelude.step,), step_of(plan), turn)
    return batch, _read(batch.rows[0])


def _read(record: Record) -> dict[str, Any]:
    """The columns that ``plan_write`` asks for, in its order."""
    body, n, inserted, total, back, location, xid, same = record
    return {
        "body": _text(body),
        "n": _number(n),
        "inserted": _number(inserted),
        "total": _number(total),
        "back": _text(back),
        "location": _text(location),
        "xid": _text(xid),
        "same": same == b"t",
    }


def _text(value: bytes | None) -> str | None:
    return None if value is None else value.decode()


def _number(value: bytes | None) -> int | None:
    return None if value is None else int(value)
