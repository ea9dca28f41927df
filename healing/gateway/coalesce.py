"""The lanes for inserts: concurrent inserts of the same shape, role and claims share a statement and a commit.

Receipts of healed rows go first, as ourselves, in the piece that opens the transaction and takes on the caller's role.

A batch in which the database returned another number of rows than were sent (a trigger, a policy) is never guessed apart: its items run
one by one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct

from healing.core.types import Json
from healing.gateway import receipts, tuned
from healing.gateway.batch import begin, xid_of
from healing.gateway.prelude import Prelude
from healing.gateway.sharing import LOCKED, OUT_OF_TIME, SHARED_FATE, Apart, Lanes, opening
from healing.gateway.target import DatabaseError
from healing.gateway.turns import Turns
from healing.gateway.wire_messages import Record, Step

T = TypeVar("T")
MOST_ROWS = 500
"""of one statement; what a request brings in the lane, and of a batch as long as nothing else is set (``batch_rows``)."""
FEWEST_ROWS, ROWS_AT_ALL = 50, 2000
MOST_BYTES = 1 << 20
PARALLEL, PARALLEL_ALONE = 2, 8
_STALE_PLAN = "40001"
FIRST, BACK, SAME = 0, 1, -1
"""Columns of a lane's records."""


class Lane(Struct, frozen=True):
    """What items must have in common to share a statement. ``by_row``: the statement returns one record a row, else one in all: FIRST (a
    row as JSON; or the number of rows), BACK where something is read back, XID (the transaction), SAME (whether the statement's names mean
    the columns that were meant). ``table`` (schema.table) is for settings of its own."""

    prelude: Prelude
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


class NotMeant(Apart):
    """What was stored is not what was meant, or cannot be told; nothing was written for this item."""


class Stale(NotMeant):
    """The names in the statement have come to mean other columns."""


class OutOfTime(NotMeant):
    """The statement that was shared ran out of time: a lock, or a single row's trigger. Apart, each has its own time."""


class Coalescer(Lanes[Lane, Item, Sequence[Record]]):
    """Inserts through lanes over one pool. Each is answered with its records (one a row when ``by_row``, else none)."""

    def beside(self, lane: Lane) -> int:
        """See ``Lanes``."""
        return PARALLEL_ALONE if _alone(lane) else PARALLEL

    def take(self, lane: Lane, waiting: Turns[Item]) -> list[Item]:
        """At most so many rows and bytes."""
        batch = [waiting.take()]
        rows, size, most_rows = batch[0].count, len(batch[0].rows), _most_rows(lane)
        while waiting:
            item = waiting.peek()
            rows, size = rows + item.count, size + len(item.rows)
            if rows > most_rows or size > MOST_BYTES:
                break
            batch.append(waiting.take())
        return batch

    async def run(self, lane: Lane, batch: list[Item], *, patient: bool) -> list[Sequence[Record]]:
        """See ``Lanes``. Raises ``NotMeant`` too."""
        owed = [item for item in batch if item.receipt is not None]
        bundle = receipts.bundle_id() if owed else ""
        due = receipts.bundle_steps(bundle, [item.receipt for item in owed if item.receipt is not None])
        step = Step(lane.sql, (b"[%b]" % b",".join([item.rows for item in batch]),))
        begun = await begin(self.pool, (*due, opening(lane.prelude, patient=patient)), step, batch[0].turn)
        try:
            answers = share_out(begun.rows, batch, lane.by_row)
        except BaseException:
            await begun.rollback()
            raise
        await begun.commit(xid=xid_of(begun.rows))
        for item, receipt_id in zip(owed, receipts.ids_of(bundle, len(owed)), strict=True):
            item.receipt_id = receipt_id
        return answers

    def verdict(self, error: Exception, count: int) -> Exception | None:
        """See ``Lanes``."""
        if not isinstance(error, DatabaseError):
            return error if isinstance(error, Stale) else None
        code = error.failure.code
        if code == OUT_OF_TIME:
            return OutOfTime("it was shared") if count > 1 else error
        if code in LOCKED:
            return NotMeant("somebody else holds a row")
        return error if code.startswith((*SHARED_FATE, _STALE_PLAN)) else None

    def behind(self, error: Exception) -> Exception | None:
        """Who waits behind one that ran out of time should not wait for the next of the kind."""
        slow = isinstance(error, DatabaseError) and error.failure.code == OUT_OF_TIME
        return OutOfTime("the one before ran out of time") if slow else None


def _most_rows(lane: Lane) -> int:
    """Rows of one statement; 1 where the table's inserts are committed each alone."""
    if _alone(lane):
        return 1
    return int(tuned.live.number("batch_rows", MOST_ROWS, low=FEWEST_ROWS, high=ROWS_AT_ALL))


def _alone(lane: Lane) -> bool:
    """Whether the table's inserts share nothing: where many are refused, taking batches apart costs more than sharing saves."""
    return tuned.live.word("transactions", "together", lane.table) == "alone"


def share_out(records: list[Record], items: list[Item], by_row: bool) -> list[Sequence[Record]]:
    """Each item's records of what their statement returned. Raises ``NotMeant``."""
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
