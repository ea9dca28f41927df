"""Changes of breakers as a stream of events, for any number of listeners of one process: what ``healing.gateway.events`` streams.

``Feed`` follows the log of changes in Valkey while somebody listens. A place is the id of an entry of the log. What a breaker of this
process did and the log does not say a moment later (Valkey is away, or it opened here alone) is told too, with ``"shared": false`` and
under a place made up just after the last one that was heard: it sorts before everything that the log says later, so that a listener
resumes as if nothing had been.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

from breakers.core.types import State, View
from breakers.gateway.edge_event import START, Event, Place, event_bytes, parsed, place_of, text_of, told
from breakers.gateway.edge_shared import Shared

log = logging.getLogger("mendgate.breakers")

KEPT = 512
PAGE = 200
BLOCK_MS = 2_000
"""How long one question for news waits at Valkey; each time the log's ends are looked at anew."""
PAUSE = 0.5
GRACE = 0.3
"""Seconds that the log has to say what a breaker here did, before we do."""
FIRST_LOOK = 0.5
"""Seconds that a first listener waits for the log, before the stream begins without it."""


class Feed:
    """The changes of one namespace. ``views`` gives all breakers as they stand, ``view`` one of this process."""

    def __init__(self, shared: Shared, views: Callable[[], Awaitable[list[View]]], view: Callable[[str], View]) -> None:
        self._shared, self._views, self._view = shared, views, view
        self._shown: list[dict[str, Any]] = []
        self._newest: dict[str, dict[str, Any]] = {}
        self._seen: dict[str, str] = {}
        self._listeners = 0
        self._task: asyncio.Task[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._recent: deque[Event] = deque()
        self._since = self._latest = self._first = self._heard = START
        self._up = self._closed = False
        self._news: asyncio.Future[None] | None = None

    @property
    def listeners(self) -> int:
        """How many follow now."""
        return self._listeners

    @asynccontextmanager
    async def open(self) -> AsyncIterator[Feed]:
        """Follow for as long as the block runs."""
        self._listeners += 1
        if self._task is None:
            self._loop = asyncio.get_running_loop()
            self._task = asyncio.create_task(self._follow())
        try:
            yield self
        finally:
            self._listeners -= 1
            if self._listeners == 0:
                await self._stop()

    def parse(self, text: str) -> Place:
        """The place that an id names. Raises ``ValueError``."""
        return parsed(text)

    def hello(self, name: str, at: Place, latest: Place) -> bytes:
        """The first event: how all breakers stand now. Changes that follow may be in it already; their version says so."""
        return event_bytes(at, name, {"latest": text_of(latest), "breakers": self._shown})

    async def latest(self) -> Place:
        """The place of the newest change; as far as is known here, where Valkey is away."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(FIRST_LOOK):
                while not self._up and not self._closed and self._shared.redis_url:
                    await self._tidings()
        latest = self._latest
        self._shown = [self._ahead(view) for view in await self._views()]
        return latest

    def _ahead(self, view: View) -> dict[str, Any]:
        """A breaker as it stands; as the log says where this process has not heard of it yet."""
        newest = self._newest.get(view.name, {"version": 0, "config_version": 0})
        said = {"name": view.name, "state": view.state, "version": view.version, "config_version": view.config_version}
        said |= {"remaining_ms": view.remaining_ms, "shared": view.shared}
        newer = (newest["version"], newest["config_version"]) > (view.version, view.config_version)
        return {**said, **{key: value for key, value in newest.items() if key in said}} if newer else said

    async def after(self, at: Place) -> Sequence[Event]:
        """The next changes after that place, oldest first, at most a page; none where there is nothing newer."""
        if at >= self._since:
            return [event for event in self._recent if event.at > at][:PAGE]
        try:
            entries = await self._ask("XRANGE", self._shared.names.log, f"({text_of(at)}", "+", "COUNT", PAGE)
        except Exception as error:
            raise LookupError("the log of changes cannot be read now") from error
        return [told(entry) for entry in entries]

    def forgot(self, at: Place) -> bool:
        """Whether changes after that place are lost: they were too many since, or Valkey lost its data."""
        return at > self._latest or (at < self._since and at < self._first)

    async def wait(self, at: Place) -> None:
        """Until there is something after that place, or all ends."""
        while not self._closed and self._latest == at:
            await self._tidings()

    def end(self) -> None:
        """Nobody waits any more."""
        self._closed = True
        self._tell()

    async def close(self) -> None:
        """Ends the following too."""
        self.end()
        await self._stop()

    def changed(self, view: View) -> None:
        """A breaker of this process changed; called from any thread."""
        loop = self._loop
        if loop is not None and self._task is not None:
            with contextlib.suppress(RuntimeError):  # the loop ends
                loop.call_soon_threadsafe(loop.call_later, GRACE, self._compare, view.name)

    def _compare(self, name: str) -> None:
        """Tells how a breaker stands here where nothing else did."""
        if self._task is None:
            return
        view, told = self._view(name), self._seen.get(name, State.CLOSED)
        if view.state != told:
            at = (self._latest[0], self._latest[1] + 1)
            plain: dict[str, Any] = {"name": name, "state": view.state, "before": told}
            plain |= {"version": view.version, "config_version": view.config_version, "at_ms": int(time.time() * 1000)}
            self._add([Event(at, plain | {"remaining_ms": view.remaining_ms, "shared": False}, view.why)])

    async def _follow(self) -> None:
        while True:
            try:
                await self._look()
                while True:
                    found = await self._ask("XREAD", "BLOCK", BLOCK_MS, "STREAMS", self._shared.names.log, text_of(self._latest))
                    if found:
                        streams = found.items() if isinstance(found, dict) else found
                        self._add([told(entry) for _, entries in streams for entry in entries])
                        self._heard = self._latest
                    else:
                        await self._look()
            except Exception as error:
                if self._up:
                    log.warning("events of breakers are told from this process alone: %s", str(error) or type(error).__name__)
                self._up = False
            await asyncio.sleep(PAUSE)

    async def _look(self) -> None:
        """Where the log begins and ends. What it lost since is forgotten here too, so that nobody is told half of it."""
        newest = await self._ask("XREVRANGE", self._shared.names.log, "+", "-", "COUNT", PAGE)
        oldest = await self._ask("XRANGE", self._shared.names.log, "-", "+", "COUNT", 1)
        last = place_of(newest[0][0]) if newest else START
        self._first = place_of(oldest[0][0]) if oldest else START
        if self._latest == START or last < self._heard:
            self._recent.clear()
            self._since = self._latest = self._heard = last
            self._newest, self._seen = {}, {}
            self._note([told(entry) for entry in reversed(newest)])
        self._up = True
        self._tell()

    async def _ask(self, *words: str | int) -> Any:
        if not self._shared.redis_url:
            raise LookupError("there is no Valkey")
        async with asyncio.timeout(BLOCK_MS / 1000 + 1):
            return await self._shared.client().execute_command(*words)

    def _add(self, events: list[Event]) -> None:
        self._recent.extend(events)
        self._note(events)
        while len(self._recent) > KEPT:
            self._since = self._recent.popleft().at
        if events:
            self._latest = events[-1].at
            self._tell()

    def _note(self, events: list[Event]) -> None:
        """How each breaker stands by what was told: the shared ones, and in the listeners' eyes."""
        self._newest |= {event.plain["name"]: event.plain for event in events if event.plain["shared"]}
        self._seen |= {event.plain["name"]: event.plain["state"] for event in events}

    async def _stop(self) -> None:
        task, self._task, self._up = self._task, None, False
        self._recent.clear()
        self._since = self._latest = self._first = self._heard = START
        if task is not None:
            task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await task

    async def _tidings(self) -> None:
        if self._news is None or self._news.done():
            self._news = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._news)

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)
