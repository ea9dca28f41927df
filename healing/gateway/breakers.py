"""``/api/v1/breakers`` in this process; of healing it is given who calls, how errors are worded, how events are sent."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from breakers.gateway.edge import EVENTS, PREFIX, Edge
from breakers.gateway.edge_counting import Counting
from breakers.gateway.edge_errors import EdgeError
from breakers.gateway.edge_feed import Feed
from breakers.gateway.edge_rights import may_read
from breakers.gateway.edge_shared import Shared
from breakers.registry import Registry
from healing.gateway import answer as answers
from healing.gateway.answer import Answer
from healing.gateway.auth import Authenticator, Caller
from healing.gateway.cors import cors_headers
from healing.gateway.errors import DialectError
from healing.gateway.events import Events

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def is_breakers(path: str) -> bool:
    """Whether a path is served here."""
    return path == PREFIX or path.startswith(f"{PREFIX}/")


def is_breaker_events(path: str) -> bool:
    """Whether ``Breakers.stream`` serves it."""
    return path == EVENTS


class Breakers:
    """The mount: one per process, on the breakers of ``registry``."""

    def __init__(self, registry: Registry, redis_url: str, namespace: str) -> None:
        self._shared = Shared(redis_url, namespace)
        counting = Counting(registry, self._shared)
        self._edge = Edge(counting)
        feed = Feed(self._shared, counting.views, lambda name: registry.get(name).view())
        registry.on_change(feed.changed)
        registry.on_link(self._shared.linked)
        self.events = Events(feed, _may_listen)

    async def answer(self, method: str, path: str, headers: dict[str, str], body: bytes, caller: Caller) -> Answer:
        """Answers one request of a verified caller. Raises ``DialectError``."""
        try:
            reply = await self._edge.answer(method, path.removeprefix(PREFIX), headers, body, caller)
        except EdgeError as error:
            raise _worded(error) from None
        if reply.value is None:
            return Answer(reply.status, list(reply.headers))
        return answers.of_value(reply.status, reply.value, *reply.headers)

    async def stream(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send, auth: Authenticator) -> None:
        """Streams changes until the caller or we end it. Raises ``DialectError`` while nothing was sent yet."""
        more = [(name.lower().encode(), value.encode()) for name, value in cors_headers(headers.get("origin"))]

        async def sending(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *more]
            await send(message)

        await self.events(scope, headers, receive, sending if more else send, auth)

    async def close(self) -> None:
        """Ends streams and connections."""
        await self.events.close()
        await self._shared.close()


def _may_listen(caller: Caller) -> None:
    try:
        may_read(caller)
    except EdgeError as error:
        raise _worded(error) from None


def _worded(error: EdgeError) -> DialectError:
    return DialectError(error.code, error.status, error.message, None, error.hint, error.headers)
