"""Requests of one lane share a statement and a commit. A lane is one SQL text under one prelude (role, claims, schema).

Who finds a lane idle is sent at once; who comes while batches are under way goes with the next one, each caller in order, callers in turn.
Nobody waits for company, and nobody for a row that somebody else holds: a batch that meets one is given up after ``LOCK_MS``, and its
requests go by themselves. Where a whole table is held (a migration) they would only fill the pool: there all wait together, and where it
is held for too long, all are told so.

One's failure is one's own: a failed batch is halved until the culprit stands alone, unless the error concerns all of it.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Coroutine, Hashable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from msgspec import Struct

from healing.core.types import Failure
from healing.gateway.batch import TableLocked, is_at_no_row
from healing.gateway.prelude import Prelude
from healing.gateway.target import DatabaseError, Pool
from healing.gateway.turns import Turns
from healing.gateway.wire_messages import Step

LOCK_MS = 50
_IMPATIENT = ("lock_timeout",), (b"%dms" % LOCK_MS,)
OUT_OF_TIME = "57014"
SHARED_FATE = ("08", "53", "57P", "MG", "PGRST00")
"""Failures of the way to the database, or of the database itself."""
LOCKED = ("55P03", "40P01")
"""Somebody else is at one of the rows."""


class Apart(Exception):
    """Nothing was written for this request; it must go the ordinary way, by itself."""


class TableHeld(DatabaseError):
    """A table was held for all the time that a statement has. It would hold up each of these once more, and with them the pool."""


class Waiting(Protocol):
    """What a lane carries. ``turn``: whose it is, where callers with the same role and claims share a lane."""

    turn: str
    done: asyncio.Future[Any] | None


L = TypeVar("L", bound=Hashable)
W = TypeVar("W", bound=Waiting)
A = TypeVar("A")


class _Queue(Struct, Generic[W]):
    waiting: Turns[W]
    running: int = 0


class Lanes(ABC, Generic[L, W, A]):
    """Lanes of one kind over one pool. A kind says how many batches go beside each other, what makes a batch, how it runs, and what an
    error means."""

    def __init__(self, pool: Pool) -> None:
        self.pool = pool
        self._queues: dict[L, _Queue[W]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    @abstractmethod
    def beside(self, lane: L) -> int:
        """How many batches may go beside each other, where connections are free."""

    @abstractmethod
    def take(self, lane: L, waiting: Turns[W]) -> list[W]:
        """The next batch: at least one."""

    @abstractmethod
    async def run(self, lane: L, batch: list[W], *, patient: bool) -> Sequence[A]:
        """Commits a batch; an answer each. Not ``patient``: waits for no lock (``opening``). Raises ``DatabaseError`` or ``Apart``: then
        nothing was written."""

    @abstractmethod
    def verdict(self, error: Exception, count: int) -> Exception | None:
        """What all of a batch of ``count`` are told; None where halves may do better, or one alone is told ``error`` itself."""

    async def send(self, lane: L, item: W) -> A:
        """Commits the item; its answer. Raises what ``run`` does, or what ``verdict`` makes of it: then nothing of it was written."""
        queue = self._queues.get(lane)
        if queue is None:
            queue = self._queues[lane] = _Queue(Turns())
        item.done = done = asyncio.get_running_loop().create_future()
        queue.waiting.put(item.turn, item)
        if queue.running == 0 or (queue.running < self.beside(lane) and self.pool.has_free):
            queue.running += 1
            self._spawn(self._drain(lane, queue))
        answer: A = await done  # who hangs up takes only this with them: the write goes on, and is not told to anybody
        return answer

    async def close(self) -> None:
        """Waits for what is under way."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _drain(self, lane: L, queue: _Queue[W]) -> None:
        try:
            while queue.waiting:
                behind = await self._settle(lane, self.take(lane, queue.waiting))
                if behind is not None:
                    fail([queue.waiting.take() for _ in range(len(queue.waiting))], behind)
        finally:
            queue.running -= 1
            if not queue.waiting and queue.running == 0:
                self._queues.pop(lane, None)

    async def _settle(self, lane: L, batch: list[W]) -> Exception | None:
        """Runs a batch; on a failure that may be one's own, in halves. What those are told who wait behind it, where they should not."""
        try:
            answers = await self._run(lane, batch)
        except (DatabaseError, Apart) as error:
            held = isinstance(error, TableHeld)
            told = error if held else self.verdict(error, len(batch))
            if told is None and len(batch) > 1:
                middle = len(batch) // 2
                first = await self._settle(lane, batch[:middle])
                return await self._settle(lane, batch[middle:]) or first
            fail(batch, told or error)
            return None if held else self.behind(error)
        except BaseException as error:
            fail(batch, DatabaseError(Failure("XX000", f"The gateway failed: {type(error).__name__}", str(error))))
            raise
        for item, answer in zip(batch, answers, strict=True):
            if item.done is not None and not item.done.done():
                item.done.set_result(answer)
        return None

    async def _run(self, lane: L, batch: list[W]) -> Sequence[A]:
        try:
            return await self.run(lane, batch, patient=False)
        except TableLocked:
            return await self._wait_together(lane, batch)

    async def _wait_together(self, lane: L, batch: list[W]) -> Sequence[A]:
        try:
            return await self.run(lane, batch, patient=True)
        except DatabaseError as error:
            if error.failure.code == OUT_OF_TIME and is_at_no_row(error.__cause__):
                raise TableHeld(error.failure) from error
            raise

    def behind(self, error: Exception) -> Exception | None:
        """What those are told who wait behind a batch that failed so; None: nothing, they go on."""
        return None


def opening(prelude: Prelude, *, patient: bool) -> Step:
    """What begins a batch's transaction."""
    return prelude.step if patient else prelude.plus(*_IMPATIENT).step


def fail(items: Sequence[Waiting], error: BaseException) -> None:
    """Tells all who still listen."""
    for item in items:
        if item.done is not None and not item.done.done():
            item.done.set_exception(error)
