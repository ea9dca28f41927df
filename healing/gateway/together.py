"""Requests by key share a statement and a transaction: writes one batch of a lane at a time, so that writes to one key stay in order.

A lane is one SQL text under one prelude (role, claims, schema). An entry that finds its lane idle is sent at once; what comes while a
batch is under way goes with the next one, callers in turn. Nobody waits for company, and nobody waits for a lock that somebody else
holds: a batch that meets one is given up after ``LOCK_MS``, and its entries go by themselves.

One entry's failure is its own: a failed batch is halved until the culprit stands alone. Where the statement says that an entry missed
its row because another one of the batch took it (``lost``), the batch is undone and halved too.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Hashable

from msgspec import Struct

from healing.core.types import Failure
from healing.gateway import tuned
from healing.gateway.batch import begin, read
from healing.gateway.coalesce import FEWEST_ROWS, ROWS_AT_ALL
from healing.gateway.keyed_sql import LOST, SAME, XID
from healing.gateway.target import DatabaseError, Pool
from healing.gateway.turns import Turns
from healing.gateway.wire_messages import Record, Step

MOST_ENTRIES, MOST_READS = 500, 64
READS_BESIDE = 2
MOST_BYTES = 1 << 20
LOCK_MS = 50
_LOCKED = ("55P03", "40P01", "40001")
OUT_OF_TIME = "57014"
"""Somebody else is at one of the rows."""
SHARED_FATE = ("08", "53", "57P", "MG", "PGRST00")


class KeyedLane(Struct, frozen=True):
    """What entries have in common. ``sql`` yields one record an entry, in order: see ``keyed_sql``."""

    prelude: str
    sql: str
    reads: bool = False
    """It writes nothing: batches may go beside each other, and are smaller, since who is first waits for who is last."""


class Entry(Struct):
    """One request's row as a JSON object. No two of a batch have the same ``key``, as far as its text tells; None is like no other."""

    text: bytes
    key: Hashable
    turn: str = ""
    done: asyncio.Future[Record] | None = None


class ByItself(Exception):
    """Nothing was written for this entry; it must go the ordinary way."""


class _Queue(Struct):
    waiting: Turns[Entry]
    running: int = 0


class Together:
    """Requests by key through lanes over one pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queues: dict[KeyedLane, _Queue] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def send(self, lane: KeyedLane, entry: Entry) -> Record:
        """Commits the entry; its record. Raises ``DatabaseError`` or ``ByItself``: then nothing of it was written."""
        entry.done = asyncio.get_running_loop().create_future()
        queue = self._queues.get(lane)
        if queue is None:
            queue = self._queues[lane] = _Queue(Turns())
        queue.waiting.put(entry.turn, entry)
        if queue.running == 0 or (lane.reads and queue.running < READS_BESIDE and self._pool.has_free):
            queue.running += 1
            self._spawn(self._drain(lane, queue))
        return await entry.done  # who hangs up takes only this with them: the write goes on, and is not told to anybody

    async def close(self) -> None:
        """Waits for what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, lane: KeyedLane, queue: _Queue) -> None:
        try:
            while queue.waiting:
                await self._settle(lane, _take(queue.waiting, MOST_READS if lane.reads else _most_writes()))
        finally:
            queue.running -= 1
            if not queue.waiting and queue.running == 0:
                self._queues.pop(lane, None)

    async def _settle(self, lane: KeyedLane, entries: list[Entry]) -> None:
        """Runs the entries as one statement; on a failure that may be one entry's own, in halves."""
        try:
            records = await self._run(lane, entries)
        except (DatabaseError, ByItself) as error:
            if len(entries) > 1 and _may_be_one_of_them(error):
                middle = len(entries) // 2
                await self._settle(lane, entries[:middle])
                await self._settle(lane, entries[middle:])
            else:
                _fail(entries, ByItself() if _goes_apart(error, len(entries)) else error)
        except BaseException as error:
            _fail(entries, DatabaseError(Failure("XX000", f"The gateway failed: {type(error).__name__}", str(error))))
            raise
        else:
            for entry, record in zip(entries, records, strict=True):
                if entry.done is not None and not entry.done.done():
                    entry.done.set_result(record)

    async def _run(self, lane: KeyedLane, entries: list[Entry]) -> list[Record]:
        before = (Step(f"{lane.prelude},set_config('lock_timeout','{LOCK_MS}ms',true)"),)
        step = Step(lane.sql, (b"[%b]" % b",".join([entry.text for entry in entries]),))
        if lane.reads:
            rows = await read(self._pool, before, step, entries[0].turn)
            _require_all(rows, entries)
            return rows
        batch = await begin(self._pool, before, step, entries[0].turn)
        try:
            _require_all(batch.rows, entries)
            _require_own(batch.rows)
        except BaseException:
            await batch.rollback()
            raise
        await batch.commit(batch.rows[0][XID])
        return batch.rows


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


def _take(waiting: Turns[Entry], most: int) -> list[Entry]:
    """The next batch: at least one entry, at most so many and so many bytes, and no key twice."""
    batch = [waiting.take()]
    size, keys = len(batch[0].text), {batch[0].key}
    while waiting and len(batch) < most:
        entry = waiting.peek()
        size += len(entry.text)
        if size > MOST_BYTES or (entry.key is not None and entry.key in keys):
            break
        keys.add(entry.key)
        batch.append(waiting.take())
    return batch


def _may_be_one_of_them(error: Exception) -> bool:
    """Whether smaller batches may help: not where the names are out of date, a lock is held, or the database is away."""
    if isinstance(error, DatabaseError):
        return not error.failure.code.startswith((*SHARED_FATE, *_LOCKED, OUT_OF_TIME))
    return not isinstance(error, _Stale)


def _goes_apart(error: Exception, count: int) -> bool:
    """A lock is held, or many together ran out of time. One that had all the time for itself would run out of it again."""
    code = error.failure.code if isinstance(error, DatabaseError) else ""
    return code in _LOCKED or (code == OUT_OF_TIME and count > 1)


def _fail(entries: list[Entry], error: Exception) -> None:
    for entry in entries:
        if entry.done is not None and not entry.done.done():
            entry.done.set_exception(error)
