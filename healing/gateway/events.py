"""Server-sent events: ``GET /api/v1/schema/events`` and ``GET /api/v1/breakers/events``. Free of Django.

    id: 214
    event: schema
    data: {"epoch": 214, "taken_at": …, "summary": …, "changes": […]}     as /changes has them: more for service_role

What is told comes from a ``Source`` (``schema_monitor.events.Feed``, ``breakers.gateway.edge_feed.Feed``); how it is sent is one.
``Last-Event-ID`` (or ``?since=``) replays what came after that id; without it the stream begins now. The first event is ``ready`` and
carries an id too, so a caller that saw only that misses nothing either. An id that was never given out (the control database was
restored), or whose followers are lost, answers ``reset``. A caller that takes nothing for ten seconds, or has taken a megabyte, is let go
and resumes where it was. Credentials are checked before every page and every few seconds: a revoked key ends its streams.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Generic, Protocol, TypeVar
from urllib.parse import parse_qs

from healing.gateway.auth import Authenticator, Caller
from healing.gateway.errors import DialectError

P = TypeVar("P")
"""A place in a source."""
P_co = TypeVar("P_co", covariant=True)

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

PATH = "/api/v1/schema/events"
HEARTBEAT = 15.0
CHECK_EVERY = 3.0
PAUSE = 1.0
"""Seconds between two tries to read what cannot be read now."""
TAKES_WITHIN = 10.0
MOST_BYTES = 1_000_000
MOST_LISTENERS = 2_000
RETRY_MS = 2_000
_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache, no-transform"),
    (b"x-accel-buffering", b"no"),
]


class Told(Protocol[P_co]):
    """One event, as it goes over the wire; ``full`` is for service_role."""

    @property
    def at(self) -> P_co: ...
    @property
    def wire(self) -> bytes: ...
    @property
    def full(self) -> bytes: ...


class Source(Protocol[P]):
    """What a stream of events is read from. ``latest`` and ``after`` raise ``Away`` (a LookupError) while nothing can be read."""

    @property
    def listeners(self) -> int: ...
    def open(self) -> AbstractAsyncContextManager[object]:
        """Follow for as long as the block runs."""

    def parse(self, text: str) -> P:
        """The place that an id names. Raises ``ValueError``."""

    def hello(self, name: str, at: P, latest: P) -> bytes:
        """The first event: ``ready`` or ``reset``."""

    async def latest(self) -> P: ...
    async def after(self, at: P) -> Sequence[Told[P]]: ...
    def forgot(self, at: P) -> bool:
        """Whether what follows that place cannot be told any more."""

    async def wait(self, at: P) -> None:
        """Until there is something after that place."""

    def end(self) -> None: ...
    async def close(self) -> None: ...


class Events(Generic[P]):
    """The endpoint of one source in one process. ``check`` raises ``DialectError`` for a caller that may not listen."""

    def __init__(self, feed: Source[P], check: Callable[[Caller], None] | None = None) -> None:
        self.feed, self._check = feed, check or may_use_api
        self._closing = False

    async def __call__(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send, auth: Authenticator) -> None:
        """Answers one request; returns when it has ended. Raises ``DialectError`` while nothing was sent yet."""
        _check_method(scope["method"])
        caller = await auth.caller(headers)
        self._check(caller)
        since = _since(self.feed, headers, scope["query_string"])
        if self._closing or self.feed.listeners >= MOST_LISTENERS:
            raise _unavailable("There are too many listeners here now.")
        async with self.feed.open():
            try:
                latest = await self.feed.latest()
            except LookupError:
                raise _unavailable("The control database does not answer.") from None
            lost = since is not None and self.feed.forgot(since)
            at = latest if since is None or lost else since
            stream = _Stream(send, headers, auth, caller, at, self._check)
            await stream.begin(self.feed.hello("reset" if lost else "ready", at, latest))
            await self._until_gone(receive, self._run(stream))

    def end(self) -> None:
        """Ends every stream, at the end of an event; new ones are sent elsewhere."""
        self._closing = True
        self.feed.end()

    async def close(self) -> None:
        """Ends the feed too."""
        self.end()
        await self.feed.close()

    async def _until_gone(self, receive: Receive, running: Any) -> None:
        """Runs the stream until it ends or the caller hangs up."""
        stream, gone = asyncio.ensure_future(running), asyncio.ensure_future(_disconnected(receive))
        try:
            await asyncio.wait((stream, gone), return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (stream, gone):
                task.cancel()
            for task in (stream, gone):
                with contextlib.suppress(asyncio.CancelledError, OSError, RuntimeError):
                    await task

    async def _run(self, stream: _Stream[P]) -> None:
        in_vain = False  # there is news, but it could not be read
        while not self._closing and await stream.allowed() and not self.feed.forgot(stream.at):
            try:
                page = await self.feed.after(stream.at)
            except LookupError:
                page = ()
            for event in page:
                if stream.open and (not stream.check_is_due or await stream.allowed()):
                    await stream.put(event.full if stream.full else event.wire, event.at)
            if page:
                in_vain = False
            elif in_vain:
                await asyncio.sleep(min(PAUSE, stream.patience))
            else:
                in_vain = await self._news(stream)
            await stream.beat()
        await stream.end()

    async def _news(self, stream: _Stream[P]) -> bool:
        """Waits for news, at most until something is due; whether there is some."""
        waiting = asyncio.ensure_future(self.feed.wait(stream.at))
        try:
            done, _ = await asyncio.wait((waiting,), timeout=stream.patience)
        finally:
            waiting.cancel()
        return bool(done)


class _Stream(Generic[P]):
    """One response under way. ``at`` is the place of the last event that was sent."""

    def __init__(
        self, send: Send, headers: dict[str, str], auth: Authenticator, caller: Caller, at: P, check: Callable[[Caller], None]
    ) -> None:
        self._send, self._headers, self._auth, self._check = send, headers, auth, check
        self._expires = caller.expires_at
        self.full = caller.role == "service_role"
        self._bytes = 0
        self._spoke = self._checked = time.monotonic()
        self.at = at
        self.open = True

    @property
    def patience(self) -> float:
        """Seconds until something is due: the heartbeat, a look at the credentials, or their end."""
        left = CHECK_EVERY if self._expires is None else self._expires - time.time()
        return max(0.0, min(CHECK_EVERY, left, self._spoke + HEARTBEAT - time.monotonic()))

    @property
    def check_is_due(self) -> bool:
        """Whether the last look at the credentials was long ago."""
        return time.monotonic() - self._checked >= CHECK_EVERY

    async def begin(self, hello: bytes) -> None:
        """Headers, the retry hint, and where the stream begins."""
        await self._send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
        await self.put(b"retry: %d\n" % RETRY_MS + hello, self.at)

    async def put(self, wire: bytes, at: P) -> None:
        """Sends one event; a caller that does not take it in time is let go."""
        try:
            async with asyncio.timeout(TAKES_WITHIN):  # not wait_for: in Python 3.11 it may lose a cancellation
                await self._send({"type": "http.response.body", "body": wire, "more_body": True})
        except TimeoutError:
            self.open = False
            return
        self.at, self._spoke = at, time.monotonic()
        self._bytes += len(wire)
        self.open = self.open and self._bytes < MOST_BYTES

    async def beat(self) -> None:
        """A comment that keeps the connection, where nothing was sent for long."""
        if self.open and time.monotonic() - self._spoke >= HEARTBEAT and await self.allowed():
            await self.put(b":\n\n", self.at)

    async def allowed(self) -> bool:
        """Whether more may be sent; looks at the credentials (in memory, unless keys have changed) and ends the stream without them."""
        self.open = self.open and await self._still_allowed()
        self._checked = time.monotonic()
        return self.open

    async def end(self) -> None:
        """Closes the response."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(TAKES_WITHIN):
                await self._send({"type": "http.response.body", "body": b""})

    async def _still_allowed(self) -> bool:
        if self._expires is not None and self._expires <= time.time():
            return False
        try:
            self._check(await self._auth.caller(self._headers))
        except DialectError as error:
            return error.status not in (401, 403)
        return True


def may_use_api(caller: Caller) -> None:
    """Raises ``DialectError`` 403 for a key that is not for the API."""
    if caller.scopes and "api" not in caller.scopes:
        raise DialectError("MG403", 403, "This key is not for the control plane's API", None, "Use a key without scopes, or with api.")


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _check_method(method: str) -> None:
    if method != "GET":
        raise DialectError("MG405", 405, "Events are read with GET", None, None, (("Allow", "GET"),))


def _since(feed: Source[P], headers: dict[str, str], query: bytes) -> P | None:
    given = headers.get("last-event-id") or next(iter(parse_qs(query.decode("latin-1")).get("since", [])), "")
    if not given:
        return None
    try:
        return feed.parse(given)
    except ValueError as error:
        raise DialectError("MG422", 422, f"Last-Event-ID {error}", None, "Send the id of the last event that you saw.") from None


def _unavailable(why: str) -> DialectError:
    return DialectError("MG503", 503, why, None, "Try again shortly.", (("Retry-After", "2"),))
