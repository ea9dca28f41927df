"""The lanes for requests by key: writes one batch of a lane at a time, so that writes to one key stay in order.

Where the statement says that an entry missed its row because another one of the batch took it (``LOST``), the batch is undone and halved.
"""

from __future__ import annotations

import asyncio
from collections.abc import Hashable

from msgspec import Struct

from healing.gateway import tuned
from healing.gateway.batch import begin, read, xid_of
from healing.gateway.coalesce import FEWEST_ROWS, ROWS_AT_ALL
from healing.gateway.keyed_sql import LOST, SAME
from healing.gateway.prelude import Prelude
from healing.gateway.sharing import LOCKED, OUT_OF_TIME, SHARED_FATE, Apart, Lanes, opening
from healing.gateway.target import DatabaseError
from healing.gateway.turns import Turns
from healing.gateway.wire_messages import Record, Step

MOST_ENTRIES, MOST_READS = 500, 64
READS_BESIDE = 2
MOST_BYTES = 1 << 20
_LOCKED = (*LOCKED, "40001")


class KeyedLane(Struct, frozen=True):
    """What entries have in common. ``sql`` yields one record an entry, in order: see ``keyed_sql``."""

    prelude: Prelude
    sql: str
    reads: bool = False
    """It writes nothing: batches may go beside each other, and are smaller, since who is first waits for who is last."""


class Entry(Struct):
    """One request's row as a JSON object. No two of a batch have the same ``key``, as far as its text tells; None is like no other."""

    text: bytes
    key: Hashable
    turn: str = ""
    done: asyncio.Future[Record] | None = None


class ByItself(Apart):
    """Nothing was written for this entry; it must go the ordinary way."""


class Together(Lanes[KeyedLane, Entry, Record]):
    """Requests by key through lanes over one pool. Each is answered with its record."""

    def beside(self, lane: KeyedLane) -> int:
        """See ``Lanes``."""
        return READS_BESIDE if lane.reads else 1

    def take(self, lane: KeyedLane, waiting: Turns[Entry]) -> list[Entry]:
        """At most so many entries and so many bytes, and no key twice."""
        batch = [waiting.take()]
        size, keys, most = len(batch[0].text), {batch[0].key}, MOST_READS if lane.reads else _most_writes()
        while waiting and len(batch) < most:
            entry = waiting.peek()
            size += len(entry.text)
            if size > MOST_BYTES or (entry.key is not None and entry.key in keys):
                break
            keys.add(entry.key)
            batch.append(waiting.take())
        return batch

    async def run(self, lane: KeyedLane, batch: list[Entry], *, patient: bool) -> list[Record]:
        """See ``Lanes``. Raises ``ByItself`` too."""
        before = (opening(lane.prelude, patient=patient),)
        step = Step(lane.sql, (b"[%b]" % b",".join([entry.text for entry in batch]),))
        if lane.reads:
            rows = await read(self.pool, before, step, batch[0].turn)
            _require_all(rows, batch)
            return rows
        begun = await begin(self.pool, before, step, batch[0].turn)
        try:
            _require_all(begun.rows, batch)
            _require_own(begun.rows)
        except BaseException:
            await begun.rollback()
            raise
        await begun.commit(xid=xid_of(begun.rows))
        return begun.rows

    def verdict(self, error: Exception, count: int) -> Exception | None:
        """See ``Lanes``. One that had all the time for itself would run out of it again."""
        if not isinstance(error, DatabaseError):
            return error if isinstance(error, _Stale) else None
        code = error.failure.code
        if code in _LOCKED or (code == OUT_OF_TIME and count > 1):
            return ByItself()
        return error if code.startswith((*SHARED_FATE, OUT_OF_TIME)) else None


class _Stale(ByItself):
    """Names have come to mean other columns."""


def _require_all(rows: list[Record], entries: list[Entry]) -> None:
    if len(rows) != len(entries):
        raise ByItself


def _require_own(rows: list[Record]) -> None:
    """Names mean what was meant, and each entry of several got its own row."""
    if rows[0][SAME] != b"t":
        raise _Stale
    if len(rows) > 1 and any([row[LOST] == b"t" for row in rows]):
        raise ByItself


def _most_writes() -> int:
    """Writes of one statement, as tuned for inserts."""
    return int(tuned.live.number("batch_rows", MOST_ENTRIES, low=FEWEST_ROWS, high=ROWS_AT_ALL))
