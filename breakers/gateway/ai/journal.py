"""Keeps the record of calls: from memory into the control database, within a second.

``note`` never waits and never fails. What waits is bounded: beyond ``MOST`` calls (the database was away for long) further ones are only
added up, so that nothing of what was spent is lost. A process that ends by itself stores the rest; one that is killed loses that second.
Each call, and each sum of calls, has an id: a batch that is sent twice is counted once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from itertools import islice
from pathlib import Path

import asyncpg
import msgspec

from breakers.gateway.ai.budgets import READ_EVERY, SPENT, Budgets
from breakers.gateway.ai.call import Attempt, Call, Notice, Row, Sums, row_of
from breakers.gateway.ai.settings import AiSettings

__all__ = ["Attempt", "Call", "Journal"]

log = logging.getLogger("mendgate.ai")

EVERY = 0.5
"""Seconds between two flushes."""
MOST = 5_000
"""Calls that wait, at most."""
MOST_BODIES = 32 * 1024 * 1024
"""Bytes of bodies that wait, at most; further calls are noted without."""
BATCH = 500
PATIENCE = 10.0
_GONE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError, asyncio.TimeoutError)
_FLUSH = (Path(__file__).parent / "flush.sql").read_text("utf-8")
_NOTICE = """
INSERT INTO breakers_ainotice (key, kind, period, period_start, spent, budget)
VALUES ($1, $2, $3, $4, $5::float8::numeric, $6::float8::numeric)
ON CONFLICT DO NOTHING"""


class Journal:
    """Of one process and event loop."""

    def __init__(self, settings: AiSettings, budgets: Budgets) -> None:
        self._url, self._connect, self._budgets = settings.database_url, settings.connect, budgets
        self._waiting: deque[tuple[Call, bool]] = deque()
        self._bodies = 0
        self._sums = Sums()
        self._sending: list[Row] = []
        """rows that were sent, or will be next; theirs stay the same until they are known to be stored."""
        self._notices: dict[tuple[str, str, str, object], Notice] = {}
        self._connection: asyncpg.Connection | None = None
        self._task: asyncio.Task[None] | None = None
        self._flushing = asyncio.Lock()
        self._read_at = self._ask_again = 0.0
        self._lost = False
        self.dropped = 0
        """calls of which nothing is left, not even the sum."""

    def note(self, call: Call, bodies: bool) -> None:
        """Takes a call."""
        if not bodies or self._bodies > MOST_BODIES:
            call.request_body = call.answer_body = None
        if len(self._waiting) >= MOST:
            self.dropped += not self._sums.add(call)
            return
        self._bodies += _size(call)
        self._waiting.append((call, bodies))

    def tell(self, notice: Notice) -> None:
        """Takes a notice; each is told once."""
        self._notices.setdefault((notice.key, notice.kind, notice.period, notice.period_start), notice)

    def start(self) -> None:
        """Stores what is noted, until ``stop``."""
        if self._url and self._task is None:
            self._task = asyncio.create_task(self._keep_flushing())

    async def stop(self) -> None:
        """Ends, after a last flush."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None
        if self._url:
            await self.flush()
        if self._sending or self._waiting:
            log.error("%s AI calls could not be stored: the control database is away", len(self._sending) + len(self._waiting))
        if self._connection is not None:
            self._connection.terminate()

    async def flush(self) -> None:
        """Stores everything that waits; what cannot be stored now is kept. Reads what callers have spent."""
        async with self._flushing:
            try:
                while self._sending or self._waiting or self._sums:
                    await self._send_batch()
                for key, notice in list(self._notices.items()):
                    await self._run(_NOTICE, *msgspec.structs.astuple(notice))
                    del self._notices[key]
                await self._read_spent()
            except _GONE as error:
                self._drop_connection()
                if not self._lost:
                    log.warning("could not store AI calls, keeping them: %s", str(error) or type(error).__name__)
                self._lost = True
            else:
                self._lost = False

    async def know_spent(self, within: float) -> None:
        """Returns when it was read what callers have spent, at the latest after ``within`` seconds; at once where that failed just now."""
        if not self._url or time.monotonic() < self._ask_again:
            return
        self._read_at, self._ask_again = 0.0, time.monotonic() + READ_EVERY
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self.flush()

    async def _send_batch(self) -> None:
        if not self._sending:
            self._sending = await self._next_batch()
        try:
            await self._run(_FLUSH, msgspec.json.encode(self._sending).decode())
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
            await self._send_one_by_one()
        self._sending = []

    async def _send_one_by_one(self) -> None:
        """One of the batch is not taken: the others are, and it is said."""
        for row in self._sending:
            try:
                await self._run(_FLUSH, msgspec.json.encode([row]).decode())
            except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
                self.dropped += row.calls
                log.exception("the record of AI call %s is not taken; it is dropped", row.id)

    async def _next_batch(self) -> list[Row]:
        """Nothing is taken out before all is made: who waits no longer may end this in between."""
        calls = [call for call, _ in islice(self._waiting, BATCH)]
        if any(call.request_body for call in calls):  # redaction takes its time
            rows = await asyncio.to_thread(lambda: [row_of(call) for call in calls])
        else:
            rows = [row_of(call) for call in calls]
        for call in calls:
            self._waiting.popleft()
            self._bodies -= _size(call)
        return rows if self._waiting else [*rows, *self._sums.take()]

    async def _read_spent(self) -> None:
        if not self._budgets.wanted or time.monotonic() < self._read_at:
            return
        since, begins = time.monotonic(), self._budgets.arguments()
        connection = await self._connected()
        self._budgets.take(await connection.fetch(SPENT, *begins), begins, since)
        self._read_at = time.monotonic() + READ_EVERY

    async def _run(self, statement: str, *values: object) -> None:
        connection = await self._connected()
        await connection.execute(statement, *values)

    async def _connected(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            settings = {"application_name": "mendgate ai journal"}
            self._connection = await self._connect(self._url, timeout=3, command_timeout=PATIENCE, server_settings=settings)
        return self._connection

    def _drop_connection(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.terminate()

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(EVERY if not self._lost else EVERY * 4)
            try:
                await self.flush()
            except Exception:
                log.exception("could not store AI calls")


def _size(call: Call) -> int:
    return len(call.request_body or b"") + len(call.answer_body or b"")
