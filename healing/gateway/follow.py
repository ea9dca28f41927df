"""Follows the target's DDL log, so that this process uses a changed table milliseconds after the change commits.

The log's notification is a doorbell only: what changed is read from the log, then the relations and enums that it names are read
from the catalog, by oid. What the log does not name (functions, rights) comes with the watcher's next version. Without a log, or with
the target away, nothing here happens: versions, and errors in band, tell of changes as well.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable
from typing import Any

import asyncpg

from healing.gateway.keeper import Keeper
from healing.gateway.settings import Settings
from schema_monitor import catalog, ddl_log, pooled
from schema_monitor.core.ddl import Entry, sightings
from schema_monitor.core.snapshot import Relation
from schema_monitor.listening import GONE, keep_listening, ring

log = logging.getLogger("mendgate.follow")

LOOK_EVERY = 5.0
"""Seconds between two looks that nobody asked for: lost notifications, and targets where nothing rings."""
LOOK_WITHIN = 60.0
MOST = 100
"""So many relations are read one by one; more than that, the whole catalog at once."""


class Follower:
    """One listening connection to the target. ``keeper`` has a state before ``start``, or gets one later."""

    def __init__(self, settings: Settings, keeper: Keeper) -> None:
        self._settings, self._keeper = settings, keeper
        self._bell = asyncio.Event()
        self._horizon: int | None = None
        self._known: frozenset[int] = frozenset()
        """ids of entries above the horizon that were used already."""
        self._doubtful: set[int] = set()
        self._task: asyncio.Task[None] | None = None
        keeper.on_version = self._doubt

    def start(self) -> None:
        """Follows until ``stop``, through lost connections."""
        self._task = asyncio.create_task(self._follow())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def look_once(self) -> None:
        """One look, for a process that does not live long (a worker's job): its catalog is the target's of now."""
        try:
            connection = await pooled.connect(self._settings.target_database_url)
            try:
                await self._look(connection)
            finally:
                connection.terminate()
        except GONE as error:
            log.warning("could not look into the target's DDL log: %s", str(error) or type(error).__name__)

    async def _follow(self) -> None:
        await keep_listening(self._connect, self._listen, log, "not following the target's DDL log")

    async def _connect(self) -> asyncpg.Connection:
        settings = {"application_name": "mendgate follower"}
        connection = await pooled.connect(self._settings.target_database_url, server_settings=settings)
        connection.add_termination_listener(lambda _: self._bell.set())
        with contextlib.suppress(asyncpg.ReadOnlySQLTransactionError):  # a standby: we look every few seconds
            await connection.add_listener(ddl_log.CHANNEL, self._ring)
        return connection

    async def _listen(self, connection: asyncpg.Connection) -> None:
        """LISTEN is done: the first look sees what was missed before it."""
        self._bell.set()
        while True:
            await ring(self._bell, LOOK_EVERY)
            if self._keeper.ready:
                async with asyncio.timeout(LOOK_WITHIN):
                    await self._look(connection)

    def _ring(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if not payload:  # else it is the watcher's probe
            self._bell.set()

    def _doubt(self, oids: Iterable[int]) -> None:
        """A stored version came that may be older than what we know of these: look at them again."""
        self._doubtful.update(oids)
        if self._doubtful:
            self._bell.set()

    async def _look(self, connection: asyncpg.Connection) -> None:
        """Reads the log, then what it names, and puts it in force."""
        start = self._keeper.state.snapshot
        news = await ddl_log.read(connection, start.horizon if self._horizon is None else self._horizon)
        if news is None:
            return
        here = news.within(start.scope).entries
        fresh = [entry for entry in here if entry.id not in self._known]
        doubtful, self._doubtful = self._doubtful, set()
        if fresh or doubtful:
            try:
                await self._read(connection, fresh, doubtful, news.horizon)
            except BaseException:
                self._doubtful |= doubtful
                raise
        self._horizon, self._known = news.horizon, frozenset(entry.id for entry in here)

    async def _read(self, connection: asyncpg.Connection, entries: list[Entry], doubtful: set[int], horizon: int) -> None:
        oids, enums = _named(entries)
        oids |= doubtful
        found: dict[int, Relation | None] = {}
        if len(oids) > MOST:
            await self._keeper.refresh()
        else:
            found = {oid: await catalog.read_relation_by_oid(connection, oid) for oid in sorted(oids)}
        enums |= {column.enum for relation in found.values() if relation for column in relation.columns if column.enum is not None}
        labels = await catalog.read_enums(connection, enums) if enums else ()
        self._keeper.learn(found, labels, sightings(entries, self._keeper.state.snapshot), horizon)


def _named(entries: list[Entry]) -> tuple[set[int], set[int]]:
    """Relations and enums, by oid."""
    return {oid for e in entries for oid in e.names.relations}, {oid for e in entries for oid in e.names.enums}
