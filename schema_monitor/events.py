"""Schema versions as a stream of events, for any number of listeners of one process. Free of Django.

``Feed`` is the one place that looks at the control database: it listens there (``mendgate_snapshot``), looks every few seconds as well,
and keeps the latest events as bytes ready to send. It runs only while somebody follows it. Listeners hold no buffer: each has an epoch,
and asks for what comes after it (``after``), from memory or, where that is long ago, from the database. Epochs commit in order and have
no gaps, so what comes after an epoch is complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import asyncpg
from msgspec import Struct

from schema_monitor import pooled
from schema_monitor.listening import GONE, keep_listening, ring

log = logging.getLogger("mendgate.events")

CHANNEL = "mendgate_snapshot"
LOOK_EVERY = 5.0
"""Seconds between two looks that nobody asked for: what a lost notification costs."""
KEPT = 256
PAGE = 100
_MOST_EPOCH = 2**63 - 1
_LATEST = "SELECT coalesce(max(epoch), 0) FROM schema_monitor_schemaversion"
_EVENTS = """
SELECT v.epoch, body::text, (body || jsonb_build_object('changes', (
    SELECT coalesce(jsonb_agg(change - '{old,new,hits,tag,usr,app}'::text[]), '[]')
    FROM jsonb_array_elements(body -> 'changes') change)))::text
FROM (SELECT * FROM schema_monitor_schemaversion WHERE epoch > $1 ORDER BY epoch LIMIT $2) v
CROSS JOIN LATERAL (SELECT jsonb_build_object(
    'epoch', v.epoch, 'taken_at', v.taken_at, 'summary', v.summary,
    'changes', coalesce((
        SELECT jsonb_agg(jsonb_build_object(
            'kind', c.kind, 'severity', c.severity, 'base_severity', c.base_severity, 'hits', c.hits,
            'schema', c.schema, 'relation', c.relation, 'object', c.object, 'old', c.old, 'new', c.new,
            'sentence', c.sentence, 'inferred', c.inferred, 'tag', c.tag, 'usr', c.usr, 'app', c.app,
            'breaks_old_writers', c.breaks_old_writers, 'breaks_old_readers', c.breaks_old_readers) ORDER BY c.id)
        FROM schema_monitor_schemachange c WHERE c.version_id = v.id), '[]')) AS body) built
ORDER BY v.epoch"""


class Event(Struct, frozen=True):
    """One version, as it goes over the wire. ``full`` also says who did it, whom it hits, and definitions before and after."""

    epoch: int
    wire: bytes
    full: bytes

    @property
    def at(self) -> int:
        """Its place in the stream."""
        return self.epoch


class Away(LookupError):
    """The control database does not answer, so nothing can be said about the past now."""


class Feed:
    """The events of one control database. ``open`` is called once per listener; the first starts it, the last stops it."""

    def __init__(self, database_url: str) -> None:
        self._url = database_url
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self._connection: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()
        self._bell = asyncio.Event()
        self._recent: deque[Event] = deque(maxlen=KEPT)
        self._latest: int | None = None
        self._news: asyncio.Future[None] | None = None
        self._closed = False

    @property
    def listeners(self) -> int:
        """How many follow now."""
        return self._listeners

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Feed]:
        """Follow for as long as the block runs."""
        self._listeners += 1
        if self._task is None:
            self._task = asyncio.create_task(self._follow())
        try:
            yield self
        finally:
            self._listeners -= 1
            if self._listeners == 0:
                await self._stop()

    def parse(self, text: str) -> int:
        """The epoch that an id names. Raises ``ValueError``."""
        if not (text.isascii() and text.isdigit()) or len(text) > 19 or int(text) > _MOST_EPOCH:
            raise ValueError("is no epoch")
        return int(text)

    def hello(self, name: str, at: int, latest: int) -> bytes:
        """The first event of a stream that begins after that epoch."""
        return f'id: {at}\nevent: {name}\ndata: {{"epoch":{at},"latest":{latest}}}\n\n'.encode()

    async def latest(self, within: float = 5.0) -> int:
        """The newest epoch; 0 before the first capture. Raises ``Away``."""
        with contextlib.suppress(asyncio.TimeoutError):
            async with asyncio.timeout(within):
                while self._latest is None and not self._closed:
                    await self._tidings()
        if self._latest is None:
            raise Away
        return self._latest

    async def after(self, epoch: int) -> Sequence[Event]:
        """The next events after that epoch, oldest first, at most a page; none where there is nothing newer. Raises ``Away``."""
        if self._latest is None or epoch >= self._latest:
            return ()
        if self._recent and self._recent[0].epoch <= epoch + 1:
            return [event for event in self._recent if event.epoch > epoch][:PAGE]
        return await self._read(epoch)

    def forgot(self, epoch: int) -> bool:
        """Whether that epoch was never given out, as far as we know now: the control database was restored."""
        return self._latest is not None and epoch > self._latest

    async def wait(self, epoch: int) -> None:
        """Until that epoch is not the newest any more, or all ends. Cancelling it costs the others nothing."""
        while not self._closed and (self._latest is None or self._latest == epoch):
            await self._tidings()

    def end(self) -> None:
        """Nobody waits any more."""
        self._closed = True
        self._tell()

    async def close(self) -> None:
        """Ends the connection too."""
        self.end()
        await self._stop()

    async def _stop(self) -> None:
        task, self._task, self._latest = self._task, None, None
        self._recent.clear()
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _tidings(self) -> None:
        if self._news is None or self._news.done():
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._news)

    async def _follow(self) -> None:
        await keep_listening(self._connect, self._listen, log, "no schema events, the control database is away")

    async def _connect(self) -> asyncpg.Connection:
        connection = await pooled.connect(self._url, server_settings={"application_name": "mendgate events"})
        connection.add_termination_listener(lambda _: self._bell.set())
        await connection.add_listener(CHANNEL, self._ring)
        return connection

    def _ring(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if str(payload).startswith("schema:"):
            self._bell.set()

    async def _listen(self, connection: asyncpg.Connection) -> None:
        """LISTEN is done: the first look sees what was missed before it."""
        self._connection = connection
        try:
            self._bell.set()
            while True:
                await ring(self._bell, LOOK_EVERY)
                await self._look()
        finally:
            self._connection = None

    async def _look(self) -> None:
        latest = await self._fetch_latest()
        known = self._latest
        if known is None or latest < known:  # the first look; or the control database was restored from a backup
            self._recent.clear()
            known = max(0, latest - PAGE)
        while known < latest:
            page = await self._read(known)
            if not page:
                break
            self._recent.extend(page)
            known = page[-1].epoch
        if known != self._latest:  # it may be newer than what was asked for: versions come in between
            self._latest = known
            self._tell()

    async def _fetch_latest(self) -> int:
        async with self._lock:
            assert self._connection is not None  # only the follower looks, while it has one
            async with asyncio.timeout(10):
                return int(await self._connection.fetchval(_LATEST))

    async def _read(self, epoch: int) -> list[Event]:
        async with self._lock:
            if self._connection is None:
                raise Away
            try:
                async with asyncio.timeout(10):
                    rows = await self._connection.fetch(_EVENTS, epoch, PAGE)
            except GONE as error:
                raise Away from error
        return [Event(epoch, _wire(epoch, plain), _wire(epoch, full)) for epoch, full, plain in rows]

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)


def _wire(epoch: int, data: str) -> bytes:
    return f"id: {epoch}\nevent: schema\ndata: {data}\n\n".encode()
