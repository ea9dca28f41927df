"""Tells the control database of transactions, within a second: those that take longer, those that landed, those that did not.

A transaction's commit holds its record (``Record``, beside its receipts), which is what counts; it is moved later. What is told here is
there sooner, and it is all there is of a transaction that was rolled back. Nothing here waits or fails for a caller; what waits is
bounded. A process that is killed leaves its open ones as "begun", without a sign of life: ``healing.transaction_log`` settles those.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from base64 import b64encode
from collections import deque
from itertools import islice
from typing import Any

import asyncpg
import msgspec

from healing.gateway.seal import seal
from healing.gateway.target import DatabaseError, Pool
from healing.gateway.transactions.story import BEGUN, Record, Story

log = logging.getLogger("mendgate.transactions")

EVERY = 1.0
"""Seconds between two flushes."""
MOST = 5_000
"""Records that wait, at most; further ones are counted and lost here (a commit has its own)."""
BATCH = 500
ALIVE_EVERY = 15.0
"""Seconds between two signs of life of one that is open."""
_GONE = (DatabaseError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError)
_TELL = """
INSERT INTO healing_transactionlog AS t (id, at, ended_at, alive_at, state, code, isolation, attempts, seconds, operations, healed, tables,
    key, role, subject, sealed)
SELECT id, to_timestamp(at), CASE WHEN state <> 'begun' THEN to_timestamp(at + seconds) END, now(), state, code, isolation, attempts,
    seconds, operations, healed, tables, key, role, subject, decode(sealed, 'base64')
FROM json_to_recordset($1::text::json) AS r(id uuid, at float8, state text, code text, isolation text, attempts int, seconds float8,
    operations int, healed int, tables jsonb, key uuid, role text, subject text, sealed text)
ORDER BY id
ON CONFLICT (id) DO UPDATE SET
    ended_at = excluded.ended_at, alive_at = excluded.alive_at, state = excluded.state, code = excluded.code,
    attempts = excluded.attempts, seconds = excluded.seconds, healed = excluded.healed, sealed = excluded.sealed
WHERE t.state <> 'committed' AND (excluded.state <> 'begun' OR t.state = 'begun')"""


class Journal:
    """Of one process and event loop."""

    def __init__(self, control: Pool) -> None:
        self._control = control
        self._open: dict[str, tuple[Story, float]] = {}
        self._ended: deque[Record] = deque()
        self._task: asyncio.Task[None] | None = None
        self._flushing = asyncio.Lock()
        self._away = False
        self.lost = 0

    def begun(self, story: Story) -> None:
        """From now on it is told of if it takes long."""
        self._open[story.id] = (story, time.monotonic() + EVERY)

    def ended(self, record: Record) -> None:
        """It is over."""
        self._open.pop(record.id, None)
        if len(self._ended) >= MOST:
            self.lost += 1
        else:
            self._ended.append(record)

    def forget(self, story: Story) -> None:
        """It was none: somebody else's answer was given, or nothing began."""
        self._open.pop(story.id, None)

    def start(self) -> None:
        """Tells from now on, until ``stop``."""
        self._task = asyncio.create_task(self._keep_telling())

    async def stop(self) -> None:
        """Ends, after a last telling."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.flush()

    async def flush(self) -> None:
        """Tells what waits. Where the control database is away it is kept."""
        async with self._flushing:
            try:
                await self._tell(self._due())
                while self._ended:
                    batch = list(islice(self._ended, BATCH))
                    await self._tell(batch)
                    for _ in batch:
                        self._ended.popleft()
            except _GONE as error:
                if not self._away:
                    log.warning("could not tell of transactions, keeping it: %s", error)
                self._away = True
            else:
                self._away = False
        if self.lost:
            log.error("%s transactions are not told of: the control database was away for long", self.lost)
            self.lost = 0

    def _due(self) -> list[Record]:
        """The open ones that have to give a sign of life."""
        now, due = time.monotonic(), []
        for story, at in list(self._open.values()):
            if now >= at:
                due.append(story.record(BEGUN))
                self._open[story.id] = (story, now + ALIVE_EVERY)
        return due

    async def _tell(self, records: list[Record]) -> None:
        if not records:
            return
        try:
            await self._run(records)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
            for record in records:
                await self._tell_alone(record)

    async def _tell_alone(self, record: Record) -> None:
        """One of many is not taken: the others are, and it is said."""
        try:
            await self._run([record])
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError) as error:
            log.error("the record of transaction %s is not taken, it is dropped: %s", record.id, error)

    async def _run(self, records: list[Record]) -> None:
        async with self._control.connection() as connection:
            await connection.execute(_TELL, msgspec.json.encode([_row(record) for record in records]).decode())

    async def _keep_telling(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                await self.flush()
            except Exception:
                log.exception("could not tell of transactions")


def _row(record: Record) -> dict[str, Any]:
    facts = msgspec.structs.asdict(record)
    story = bytes(facts.pop("story"))
    return {**facts, "sealed": b64encode(seal(story)).decode()}
