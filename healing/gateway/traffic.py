"""Counts what callers send, by shape: names only, never a value. Added to the control database every few seconds.

``wrote``, ``read`` and ``called`` cost about a microsecond (one dictionary), never wait and never raise. What the counters hold is
bounded: beyond ``MOST`` shapes (or ``MOST_CHARACTERS`` of names in them) between two flushes, requests are only counted as lost, and the
reader is told when.

For whoever carries out writes, once a request, after its outcome is known (not for replays: those were counted when they came)::

    services.traffic.wrote(relation, request.name, operation, caller, keys, rows, named=…, applied=…, misfit=…)

``relation``   as it was resolved for this request          ``keys``    the payload's keys as sent, in any order (``()`` for delete)
``named``      ``names.named(relation)`` of the ``Names`` that planned it (filters, select, order, on_conflict; names as sent)
``applied``    the fixes that healed it (``core.mend.Applied``); empty for a healthy write
``misfit``     it was refused or kept because it does not fit (a healed one counts by itself)

Uses of former names need no telling but for labels, which are in ``applied``: the rest is found by lineage when the counts are flushed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence

import asyncpg

from healing.core.fixes import MapValue
from healing.core.mend import Applied
from healing.gateway.auth import Caller
from healing.gateway.names import Names
from healing.gateway.settled import Place
from healing.gateway.state import State
from healing.gateway.target import DatabaseError, Pool
from healing.gateway.traffic_rows import Count, Rows, rows_of
from healing.gateway.traffic_sql import add
from schema_monitor.core.snapshot import Function, Relation

log = logging.getLogger("mendgate.traffic")

EVERY = 5.0
"""Seconds between two flushes."""
HEARTBEAT = 60.0
"""Seconds between two signs of life where nothing is sent: no traffic is knowledge too."""
MOST, MOST_CHARACTERS = 100_000, 16_000_000
"""Shapes held between two flushes, and rows held while the control database is away; and characters of the names in these shapes. Some
40 MB in all."""
FULL = 0.8
"""of that: then they are stored, due or not."""
AT_ONCE = 2_000
"""Rows of one transaction."""
PACE, SLOWEST = 200, 120.0
"""Many callers have many shapes, each with few requests. Then the counts are kept for longer, so that no more than so many rows a second
are stored, but for so many seconds at most: a row then stands for more requests."""
IN_A_THREAD = 300
"""More shapes than that are worked out off the event loop."""
_MOST_NAMES, _MOST_CHARACTERS = 300, 8_000
_HUGE = ("…",)


class Traffic:
    """The counters of one process. ``state`` yields what the gateway knows when the counts are flushed."""

    def __init__(self, control: Pool, state: Callable[[], State]) -> None:
        self._control, self._state = control, state
        self._counts: dict[Place, Count] = {}
        self._labels: dict[tuple[int, str, str | None, str], int] = {}
        self._lost = self._characters = 0
        self._waiting = Rows()
        self._beat = self._flushed = 0.0
        self._task: asyncio.Task[None] | None = None
        self._flushing = asyncio.Lock()

    def wrote(
        self,
        relation: Relation,
        sent: str,
        operation: str,
        caller: Caller,
        keys: tuple[str, ...],
        rows: int = 1,
        *,
        named: tuple[str, ...] = (),
        applied: Sequence[Applied] = (),
        misfit: bool = False,
    ) -> None:
        """A write whose outcome is known. ``sent`` is the table's name as sent."""
        place = (relation.oid, relation.fingerprint, sent, operation, caller.key, caller.role, keys, named)
        count = self.wrote_as_before(place, relation, rows)
        if applied or misfit:
            count.misfits += 1
            count.healed += not misfit
            for each in applied:
                if type(each.fix) is MapValue and each.source == "lineage":
                    self._note_label(relation, each.fix, caller)

    def wrote_as_before(self, place: Place, relation: Relation, rows: int = 1, *, renamed: bool = False) -> Count:
        """The same where the place is known; ``renamed``: a healed one, by other names of columns only. The counter, for the rest."""
        count = self._counts.get(place) or self._new(place, relation)
        count.requests += 1
        count.rows += rows
        if renamed:
            count.misfits += 1
            count.healed += 1
        return count

    def read(self, names: Names, caller: Caller, rows: int = 0) -> None:
        """A read that was answered: every relation that ``names`` resolved columns of."""
        used: dict[int, list[str]] = {}
        for oid, name in names.used:
            used.setdefault(oid, []).append(name)
        for (oid, _), relation in names.used.items():
            named = used.pop(oid, None)
            if named is None or not oid:
                continue
            sent = names.called.get(oid, relation.name)
            place = (oid, relation.fingerprint, sent, "select", caller.key, caller.role, (), tuple(named))
            count = self._counts.get(place) or self._new(place, relation)
            count.requests += 1
            count.rows += rows
        for enum, label in names.old_labels:
            self._add_label(enum, label, caller)

    def called(self, function: Function, caller: Caller, given: tuple[str, ...]) -> None:
        """A function call that was answered."""
        place = (function.oid, "", function.name, "call", caller.key, caller.role, given, ())
        count = self._counts.get(place) or self._new(place, function)
        count.requests += 1

    def start(self) -> None:
        """Flushes from now on, until ``stop``."""
        self._task = asyncio.create_task(self._keep_flushing())

    async def stop(self) -> None:
        """Ends, after a last flush."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self.flush()

    async def flush(self) -> None:
        """Adds what was counted to the control database. Where that is away the counts are kept, up to ``MOST`` rows."""
        async with self._flushing:
            await self._gather()
            while not self._waiting.empty or time.monotonic() >= self._beat:
                if not await self._store(self._waiting.take(AT_ONCE)):
                    return

    async def _store(self, part: Rows) -> bool:
        """Adds some of what waited. False: no more can be stored now."""
        try:
            async with self._control.connection() as connection, connection.transaction():
                await add(connection, part)
        except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
            log.exception("counts that the control database does not take; they are dropped")
            self._waiting.lost += part.requests + part.lost
            return bool(part.shapes or part.uses)
        except (DatabaseError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError, TimeoutError) as error:
            log.warning("could not store what callers send, keeping it: %s", error)
            self._waiting.add(part, MOST)
            return False
        self._beat = time.monotonic() + HEARTBEAT
        return True

    async def _gather(self) -> None:
        """Turns the counters into rows: names are resolved by what is known now, and added to what waits already."""
        counts, labels, lost = self._counts, self._labels, self._lost
        self._counts, self._labels, self._lost, self._characters = {}, {}, 0, 0
        self._waiting.lost, self._flushed = self._waiting.lost + lost, time.monotonic()
        if not counts and not labels:
            return
        try:
            args = (counts, labels, self._state())
            self._waiting.add(rows_of(*args) if len(counts) < IN_A_THREAD else await asyncio.to_thread(rows_of, *args), MOST)
        except Exception:  # the counters must never hurt the gateway
            log.exception("could not work out what callers send; dropped")
            self._waiting.lost += sum(count.requests for count in counts.values())

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(EVERY)
            try:
                if self._is_due():
                    await self.flush()
            except Exception:
                log.exception("could not flush the traffic counters")

    def _is_due(self) -> bool:
        """Few shapes are stored at every look; many wait until they are worth it."""
        kept = time.monotonic() - self._flushed
        full = max(len(self._counts) / MOST, self._characters / MOST_CHARACTERS) > FULL
        return full or kept >= min(len(self._counts) / PACE, SLOWEST)

    def _new(self, place: Place, thing: Relation | Function) -> Count:
        """A counter for a shape not seen since the last flush."""
        oid, fingerprint, sent, operation, key, role, keys, named = place
        size = sum(map(len, keys)) + sum(map(len, named))
        if len(keys) > _MOST_NAMES or len(named) > _MOST_NAMES or size > _MOST_CHARACTERS:
            place, size = (oid, fingerprint, sent, operation, key, role, _HUGE, ()), 0
            if (found := self._counts.get(place)) is not None:
                return found
        if len(self._counts) >= MOST or self._characters + size > MOST_CHARACTERS:
            self._lost += 1
            return Count(thing)
        self._characters += size
        found = self._counts[place] = Count(thing)
        return found

    def _note_label(self, relation: Relation, fix: MapValue, caller: Caller) -> None:
        column = relation.column(fix.column)
        if column is not None and column.enum is not None:
            self._add_label(column.enum, str(fix.source), caller)

    def _add_label(self, enum: int, label: str, caller: Caller) -> None:
        place = (enum, label, caller.key, caller.role)
        if place in self._labels or len(self._labels) < MOST:
            self._labels[place] = self._labels.get(place, 0) + 1
