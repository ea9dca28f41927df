"""Changes of breakers as a stream of events, for any number of listeners of one process: what ``healing.gateway.events`` streams.

``Feed`` follows the log of changes in Valkey while somebody listens, and keeps the latest as bytes ready to send. A place is the id of
an entry of the log. While Valkey is away, changes of this process are told under places made up just after the last one that was heard:
they sort before everything that the log says later, so a listener resumes as if nothing had been.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from typing import Any

import msgspec
from msgspec import Struct

from breakers.core.types import View
from breakers.gateway.edge_shared import Shared

log = logging.getLogger("mendgate.breakers")

Place = tuple[int, int]
START: Place = (0, 0)
KEPT = 512
PAGE = 200
BLOCK_MS = 2_000
"""How long one question for news waits at Valkey; each time the log's ends are looked at anew."""
PAUSE = 0.5
FIRST_LOOK = 0.5
"""Seconds that a first listener waits for the log, before the stream begins without it."""
_ID = re.compile(r"(\d{1,16})-(\d{1,16})", re.ASCII)


class Event(Struct, frozen=True):
    """One change, as it goes over the wire: ``plain``, and ``full`` with the reason."""

    at: Place
    plain: dict[str, Any]
    why: Any = None

    @property
    def wire(self) -> bytes:
        """For everybody."""
        return _event(self.at, "breaker", self.plain)

    @property
    def full(self) -> bytes:
        """For service_role."""
        return _event(self.at, "breaker", {**self.plain, "why": self.why})


class Feed:
    """The changes of one namespace. ``views`` gives all breakers as they stand, for the first event of a stream."""

    def __init__(self, shared: Shared, views: Callable[[], Awaitable[list[View]]]) -> None:
        self._shared, self._views = shared, views
        self._shown: list[dict[str, Any]] = []
        self._newest: dict[str, dict[str, Any]] = {}
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
        found = _ID.fullmatch(text)
        if found is None:
            raise ValueError("is none of ours")
        return int(found[1]), int(found[2])

    def hello(self, name: str, at: Place, latest: Place) -> bytes:
        """The first event: how all breakers stand now. Changes that follow may be in it already; their version says so."""
        return _event(at, name, {"latest": _text(latest), "breakers": self._shown})

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
            entries = await self._ask("XRANGE", self._shared.names.log, f"({_text(at)}", "+", "COUNT", PAGE)
        except Exception as error:
            raise LookupError("the log of changes cannot be read now") from error
        return [_told(entry) for entry in entries]

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
        """A breaker of this process changed; called from any thread. Told only where the log does not say it."""
        loop = self._loop
        if loop is not None and self._task is not None and not self._up:
            with contextlib.suppress(RuntimeError):  # the loop ends
                loop.call_soon_threadsafe(self._alone, view)

    def _alone(self, view: View) -> None:
        if self._task is not None and not self._up:
            at = (self._latest[0], self._latest[1] + 1)
            self._add([Event(at, {**self._ahead(view), "shared": False}, view.why)])

    async def _follow(self) -> None:
        while True:
            try:
                await self._look()
                while True:
                    found = await self._ask("XREAD", "BLOCK", BLOCK_MS, "STREAMS", self._shared.names.log, _text(self._latest))
                    if found:
                        streams = found.items() if isinstance(found, dict) else found
                        self._add([_told(entry) for _, entries in streams for entry in entries])
                        self._heard = self._latest
                    else:
                        await self._look()
            except Exception as error:
                if self._up:
                    log.warning("events of breakers are told from this process alone: %s", error or type(error).__name__)
                self._up = False
            await asyncio.sleep(PAUSE)

    async def _look(self) -> None:
        """Where the log begins and ends. What it lost since is forgotten here too, so that nobody is told half of it."""
        newest = await self._ask("XREVRANGE", self._shared.names.log, "+", "-", "COUNT", PAGE)
        oldest = await self._ask("XRANGE", self._shared.names.log, "-", "+", "COUNT", 1)
        last = _place(newest[0][0]) if newest else START
        self._first = _place(oldest[0][0]) if oldest else START
        if self._latest == START or last < self._heard:
            self._recent.clear()
            self._since = self._latest = self._heard = last
            self._newest = {event.plain["name"]: event.plain for event in map(_told, reversed(newest))}
        self._up = True
        self._tell()

    async def _ask(self, *words: str | int) -> Any:
        if not self._shared.redis_url:
            raise LookupError("there is no Valkey")
        async with asyncio.timeout(BLOCK_MS / 1000 + 1):
            return await self._shared.client().execute_command(*words)

    def _add(self, events: list[Event]) -> None:
        self._recent.extend(events)
        self._newest |= {event.plain["name"]: event.plain for event in events}
        while len(self._recent) > KEPT:
            self._since = self._recent.popleft().at
        if events:
            self._latest = events[-1].at
            self._tell()

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


def _told(entry: Any) -> Event:
    at, fields = _place(entry[0]), _fields(entry[1])
    why = msgspec.json.decode(fields.get("why") or b"null")
    state = fields.get("after", b"").decode()
    plain: dict[str, Any] = {"name": fields.get("name", b"").decode(), "state": state, "before": fields.get("before", b"").decode()}
    plain |= {"version": int(fields.get("ver", 0)), "config_version": int(fields.get("cfgv", 0)), "at_ms": int(fields.get("at", 0))}
    plain |= {"remaining_ms": int(1000 * (why or {}).get("seconds", 0)) if state == "open" else 0, "shared": True}
    return Event(at, plain, why)


def _fields(given: Any) -> dict[str, bytes]:
    pairs = given.items() if isinstance(given, dict) else zip(given[::2], given[1::2], strict=True)
    return {name.decode(): value for name, value in pairs}


def _place(raw: bytes) -> Place:
    stamp, _, number = raw.decode().partition("-")
    return int(stamp), int(number)


def _text(place: Place) -> str:
    return f"{place[0]}-{place[1]}"


def _event(at: Place, name: str, data: dict[str, Any]) -> bytes:
    return b"id: %s\nevent: %s\ndata: %s\n\n" % (_text(at).encode(), name.encode(), msgspec.json.encode(data))
