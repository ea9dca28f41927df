"""Concurrent inserts of the same shape, role and claims share a statement and a commit.

A lane is one SQL text under one prelude (role, claims, schema). An item that finds its lane idle is sent at once; items that
come while batches are under way wait for the next batch, each caller in order, callers in turn. Nobody ever waits for company.

Receipts of healed rows go first, as ourselves, in the round trip that opens the transaction and takes on the caller's role.

One item's failure is its own: a failed batch is halved until the culprit stands alone. A batch in which the database
returned another number of rows than were sent (a trigger, a policy) is never guessed apart: its items run one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from typing import TypeVar

from msgspec import Struct

from healing.core.types import Failure, Json
from healing.gateway import receipts, tuned
from healing.gateway.batch import begin
from healing.gateway.target import DatabaseError, Pool
from healing.gateway.turns import Turns
from healing.gateway.wire_messages import Record, Step

T = TypeVar("T")
MOST_ROWS = 500
"""of one statement; what a request brings in the lane, and of a batch as long as nothing else is set (``batch_rows``)."""
FEWEST_ROWS, ROWS_AT_ALL = 50, 2000
MOST_BYTES = 1 << 20
PARALLEL, PARALLEL_ALONE = 2, 8
_SHARED_FATE = ("08", "53", "57P", "MG", "40001", "PGRST00")
_OUT_OF_TIME = "57014"


FIRST, BACK, XID, SAME = 0, 1, -2, -1
"""Columns of a lane's records."""


class Lane(Struct, frozen=True):
    """What items must have in common to share a statement. ``by_row``: the statement returns one record a row, else one in all: FIRST (a
    row as JSON; or the number of rows), BACK where something is read back, XID (the transaction), SAME (whether the statement's names mean
    the columns that were meant). ``table`` (schema.table) is for settings of its own."""

    prelude: str
    sql: str
    by_row: bool
    table: str = ""


class Item(Struct):
    """One request's rows: JSON objects joined by commas, without the brackets."""

    rows: bytes
    count: int
    receipt: receipts.Receipt | None = None
    """Written by the same transaction."""
    receipt_id: str = ""
    """Set when it is committed."""
    meant: list[Json] | None = None
    """What fixes mean to write, where the lane reads it back: of each row the value of the one such column, or a list of them."""
    accept: Callable[[Sequence[Json], Sequence[Json]], bool] | None = None
    """Asked where what was read back of its own rows is not ``meant`` to the letter: whether the one is the other in other words. False
    undoes the statement for this item."""
    done: asyncio.Future[Sequence[Record]] | None = None
    turn: str = ""
    """Whose it is: callers with the same role and claims share a lane, and take turns in it."""


class NotMeant(Exception):
    """What was stored is not what was meant, or cannot be told; nothing was written for this item."""


class Stale(NotMeant):
    """The names in the statement have come to mean other columns."""


class OutOfTime(NotMeant):
    """The statement that was shared ran out of time: a lock, or a single row's trigger. Apart, each has its own time."""


class _Queue(Struct):
    waiting: Turns[Item]
    running: int = 0


class Coalescer:
    """Inserts through lanes over one pool."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._queues: dict[Lane, _Queue] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def insert(self, lane: Lane, item: Item) -> Sequence[Record]:
        """Commits the item's rows and returns its records (one a row when ``by_row``, else none). Raises ``DatabaseError`` or
        ``NotMeant``: then nothing of it was written."""
        queue = self._queues.get(lane)
        if queue is None:
            queue = self._queues[lane] = _Queue(Turns())
        item.done = asyncio.get_running_loop().create_future()
        queue.waiting.put(item.turn, item)
        if queue.running < (PARALLEL_ALONE if _alone(lane) else PARALLEL) and (queue.running == 0 or self._pool.has_free):
            queue.running += 1
            self._spawn(self._drain(lane, queue))
        return await item.done  # who hangs up takes only this with them: the write goes on, and is not told to anybody

    async def close(self) -> None:
        """Waits for what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, lane: Lane, queue: _Queue) -> None:
        try:
            while queue.waiting:
                if not await self._settle(lane, _take(queue.waiting, _most_rows(lane))):
                    _fail(list(_all(queue.waiting)), OutOfTime("the one before ran out of time"))
        finally:
            queue.running -= 1
            if not queue.waiting and queue.running == 0:
                self._queues.pop(lane, None)

    async def _settle(self, lane: Lane, items: list[Item]) -> bool:
        """Runs the items as one statement; on a failure that may be one item's own, in halves. False: it ran out of time, and who waits
        behind it should not wait for the next of the kind."""
        try:
            answers = await self._run(lane, items)
        except (DatabaseError, NotMeant) as error:
            slow = isinstance(error, DatabaseError) and error.failure.code == _OUT_OF_TIME
            if len(items) == 1 or slow or _concerns_all(error):
                _fail(items, OutOfTime("it was shared") if slow and len(items) > 1 else error)
                return not slow
            middle = len(items) // 2
            return all([await self._settle(lane, half) for half in (items[:middle], items[middle:])])
        except BaseException as error:
            _fail(items, DatabaseError(Failure("XX000", f"The gateway failed: {type(error).__name__}", str(error))))
            raise
        else:
            for item, answer in zip(items, answers, strict=True):
                if item.done is not None and not item.done.done():
                    item.done.set_result(answer)
        return True

    async def _run(self, lane: Lane, items: list[Item]) -> list[Sequence[Record]]:
        owed = [item for item in items if item.receipt is not None]
        bundle = receipts.bundle_id() if owed else ""
        due = receipts.bundle_steps(bundle, [item.receipt for item in owed if item.receipt is not None])
        step = Step(lane.sql, (b"[%b]" % b",".join([item.rows for item in items]),))
        batch = await begin(self._pool, (*due, Step(lane.prelude)), step, items[0].turn)
        try:
            answers = _share_out(batch.rows, items, lane.by_row)
        except BaseException:
            await batch.rollback()
            raise
        await batch.commit(batch.rows[0][XID] if batch.rows else None)
        for item, receipt_id in zip(owed, receipts.ids_of(bundle), strict=False):
            item.receipt_id = receipt_id
        return answers


def _most_rows(lane: Lane) -> int:
    """Rows of one statement; 1 where the table's inserts are committed each alone."""
    if _alone(lane):
        return 1
    return int(tuned.live.number("batch_rows", MOST_ROWS, low=FEWEST_ROWS, high=ROWS_AT_ALL))


def _alone(lane: Lane) -> bool:
    """Whether the table's inserts share nothing: where many are refused, taking batches apart costs more than sharing saves."""
    return tuned.live.word("transactions", "together", lane.table) == "alone"


def _take(waiting: Turns[Item], most_rows: int = MOST_ROWS) -> list[Item]:
    """The next batch: at least one item, at most so many rows and bytes."""
    batch = [waiting.take()]
    rows, size = batch[0].count, len(batch[0].rows)
    while waiting:
        item = waiting.peek()
        rows, size = rows + item.count, size + len(item.rows)
        if rows > most_rows or size > MOST_BYTES:
            break
        batch.append(waiting.take())
    return batch


def _all(waiting: Turns[Item]) -> Iterator[Item]:
    while waiting:
        yield waiting.take()


def _share_out(records: list[Record], items: list[Item], by_row: bool) -> list[Sequence[Record]]:
    if records and records[0][SAME] != b"t":
        raise Stale("a column was renamed")
    total = sum(item.count for item in items)
    stored = len(records) if by_row else int(records[0][FIRST] or 0)
    if stored != total:
        raise NotMeant(f"{total} rows were sent and {stored} stored")
    shares: list[Sequence[Record]] = _shares(records, items) if by_row else [()] * len(items)
    if items[0].meant is not None:
        _require_meant(items, _read_back(records, by_row))
    return shares


def _read_back(records: list[Record], by_row: bool) -> list[Json]:
    """What fixes wrote, as it was stored: of each row."""
    if by_row:
        return [receipts.decode(record[BACK] or b"null") for record in records]
    stored: list[Json] = receipts.decode(records[0][BACK] or b"[]")
    return stored


def _require_meant(items: list[Item], stored: list[Json]) -> None:
    if stored == [value for item in items for value in item.meant or ()]:
        return
    for item, own in zip(items, _shares(stored, items), strict=True):
        if own != item.meant and (item.meant is None or item.accept is None or not item.accept(item.meant, own)):
            raise NotMeant("a healed row was stored differently")


def _shares(rows: Sequence[T], items: list[Item]) -> list[Sequence[T]]:
    """Each item's own rows: they come back in the order in which they were sent."""
    shares: list[Sequence[T]] = []
    start = 0
    for item in items:
        shares.append(rows[start : start + item.count])
        start += item.count
    return shares


def _concerns_all(error: Exception) -> bool:
    return isinstance(error, Stale) or (isinstance(error, DatabaseError) and error.failure.code.startswith(_SHARED_FATE))


def _fail(items: list[Item], error: Exception) -> None:
    for item in items:
        if item.done is not None and not item.done.done():
            item.done.set_exception(error)
