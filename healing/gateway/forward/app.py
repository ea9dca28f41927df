"""The mount: ``/auth/v1``, ``/storage/v1``, ``/functions/v1``, ``/realtime/v1``, ``/graphql/v1``, and reads that are not served here."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

from breakers.gateway.ai.asgi import Message, Receive, Send, raw, send_json
from healing.gateway.cors import cors_headers, is_preflight, preflight
from healing.gateway.errors import DialectError
from healing.gateway.forward.credentials import Exchange, UpstreamKeys
from healing.gateway.forward.far import MOST, Far
from healing.gateway.forward.paths import NOT_SERVED, READS, service_of
from healing.gateway.forward.relay import Body, Left, relay
from healing.gateway.forward.sockets import GOING_AWAY, relay_socket
from healing.gateway.services import Services

log = logging.getLogger("mendgate.forward")


class Forwarder:
    """One per process. ``base``: the upstream's URL, None where there is none."""

    def __init__(self, base: str | None, keys: UpstreamKeys, services: Callable[[], Awaitable[Services]]) -> None:
        self._base, self._keys, self._services = base, keys, services
        self._far = Far()
        self._under_way: set[asyncio.Task[None]] = set()
        self._sockets: set[asyncio.Task[None]] = set()

    def takes(self, code: str, method: str) -> bool:
        """Whether a request that was answered with this error is one for the upstream: a read that is not served here."""
        return self._base is not None and method in READS and code in NOT_SERVED

    async def __call__(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send) -> None:
        """Answers one request of a forwarded path."""
        if scope["type"] == "websocket":
            await self._socket(scope, receive, send)
        elif is_preflight(scope["method"], headers):
            answer = preflight(headers)
            await send({"type": "http.response.start", "status": answer.status, "headers": raw(answer.headers)})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._request(service_of(scope["path"]) or "rest", scope, Body(receive), send, headers.get("origin"))

    async def read(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send) -> None:
        """Answers a read of the data API whose body (none) was read already."""
        body = Body(receive)
        body.skip()
        await self._request("rest", scope, body, send, headers.get("origin"))

    def end(self) -> None:
        """The process is to stop: sockets would never end by themselves."""
        for task in self._sockets:
            task.cancel()

    async def close(self) -> None:
        """Ends what is left."""
        self.end()
        await self._far.close()

    async def _request(self, service: str, scope: Message, body: Body, send: Send, origin: str | None) -> None:
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            base, exchange = await self._ready(service)
            await self._counted(relay(self._far, base, service, scope, body, sending, exchange), exchange, self._under_way)
        except Left:
            return
        except DialectError as error:
            if begun:
                raise
            headers = [*error.headers, *cors_headers(origin)]
            await send_json(send, error.status, error.to_body(), headers, head=scope["method"] == "HEAD")

    async def _socket(self, scope: Message, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        try:
            base, exchange = await self._ready("realtime")
            await self._counted(relay_socket(self._far, base, scope, receive, send, exchange), exchange, self._sockets)
        except DialectError as error:
            log.info("a WebSocket was refused: %s", error.message)
            await send({"type": "websocket.close", "code": 1008, "reason": error.message[:120]})
        except asyncio.CancelledError:
            await send({"type": "websocket.close", "code": GOING_AWAY})

    async def _ready(self, service: str) -> tuple[str, Exchange]:
        if self._base is None:
            hint = "Set UPSTREAM_SUPABASE_URL to your Supabase project, or use its own URL for this."
            raise DialectError("MG404", 404, f"/{service}/v1 is not served here, and no upstream Supabase is configured", None, hint)
        if len(self._under_way) + len(self._sockets) >= MOST:
            raise DialectError("MG503", 503, "The gateway is busy", None, "Try again shortly.", (("Retry-After", "1"),))
        services = await self._services()
        return self._base, Exchange(services.auth, self._keys, services.quotas)

    async def _counted(self, work: Coroutine[Any, Any, None], exchange: Exchange, among: set[asyncio.Task[None]]) -> None:
        task = asyncio.ensure_future(work)
        among.add(task)
        try:
            await task
        finally:
            among.discard(task)
            task.cancel()
            exchange.leave()
