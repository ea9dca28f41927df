"""The ASGI application of the data API: read the request, find the caller, hand on, render. Free of Django.

/rest/v1/…   the data API       /healthz  the process is alive       /readyz  it can serve
/api/v1/schema/events           schema versions as they come (they may stay for hours, so they do not count as requests in flight)
/v1/…        the AI gateway, in OpenAI's dialect (it counts its own)
/api/v1/breakers…               breakers for callers that hold no state, and their changes as they come
/api/v1/transactions            several writes that land together, or not at all
/auth/v1 … /graphql/v1          forwarded to the configured Supabase, as are reads of the data API that are not served here
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from time import perf_counter
from typing import Any

from breakers import registry
from breakers.gateway.ai.app import AiGateway
from breakers.gateway.edge import MOST_BYTES
from healing.gateway import answer as answers
from healing.gateway import watch
from healing.gateway.ai import Ai, is_ai
from healing.gateway.answer import Answer
from healing.gateway.auth import Authenticator, Caller
from healing.gateway.bodies import Room, read_body
from healing.gateway.breakers import Breakers, is_breaker_events, is_breakers
from healing.gateway.cors import cors_headers, is_preflight, preflight
from healing.gateway.described import Documents
from healing.gateway.ending import when_streams_end
from healing.gateway.errors import DialectError, from_failure
from healing.gateway.events import PATH as EVENTS
from healing.gateway.events import Events
from healing.gateway.forward.app import Forwarder
from healing.gateway.forward.credentials import UpstreamKeys
from healing.gateway.forward.paths import service_of
from healing.gateway.kept import Envelope
from healing.gateway.read import read
from healing.gateway.request import PREFIX, Request, parse
from healing.gateway.services import Services
from healing.gateway.settings import Settings
from healing.gateway.target import DatabaseError
from healing.gateway.transactions.run import PATH as TRANSACTIONS
from healing.gateway.transactions.run import transact
from healing.gateway.waiting import waited
from healing.gateway.write import PARTIAL, claim_of, write
from metrics.recorder import recorder
from schema_monitor.events import Feed

log = logging.getLogger("mendgate.gateway")

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Gateway:
    """One per process. Opens its pools at the lifespan's start-up, or at the first request where there is none."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.services: Services | None = None
        self.events = Events(Feed(settings.database_url))
        self.ai = Ai(AiGateway(settings.ai), self._authenticator)
        self.breakers = Breakers(registry.default, settings.ai.redis_url, settings.ai.namespace)
        keys = UpstreamKeys(settings.upstream_anon_key, settings.upstream_service_key)
        self.forward = Forwarder(settings.upstream_supabase_url, keys, self.open)
        self.room = Room(settings.bodies_limit)
        self.documents = Documents()
        self._opening = asyncio.Lock()
        self._in_flight = 0

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(receive, send)
            return
        headers, path = _joined(scope["headers"]), scope["path"]
        if path.startswith(PREFIX):
            await self._data(scope, headers, receive, send)
        elif is_ai(path):
            await self.ai(scope, headers, receive, send)
        elif service_of(path):
            await self.forward(scope, headers, receive, send)
        elif path == EVENTS or (is_breaker_events(path) and not is_preflight(scope["method"], headers)):
            answer = await self._stream(scope, headers, receive, send)
            if answer is not None:
                await self._give(scope, headers, answer, send)
        else:
            await self._data(scope, headers, receive, send)

    async def _data(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send) -> None:
        answer = await self._respond(scope, headers, receive)
        if answer is None:
            await self.forward.read(scope, headers, receive, send)
        else:
            await self._give(scope, headers, answer, send)

    async def _give(self, scope: Message, headers: dict[str, str], answer: Answer, send: Send) -> None:
        path, cors = scope["path"], []
        if "origin" in headers:
            open_to_browsers = path.startswith(PREFIX) or is_breakers(path) or path == TRANSACTIONS
            cors = cors_headers(headers["origin"]) if open_to_browsers and not is_preflight(scope["method"], headers) else []
        await _send(send, answer, [*answer.headers[len(answer.ready) :], *cors], head=scope["method"] == "HEAD")

    async def open(self) -> Services:
        """The services, opened once."""
        if self.services is None:
            async with self._opening:
                if self.services is None:
                    services = Services(self.settings)
                    await services.open()
                    await self.ai.gateway.open()
                    self.services = services
        return self.services

    async def close(self) -> None:
        """Finishes what is under way."""
        await self.events.close()
        await self.breakers.close()
        await self.ai.gateway.close()
        await self.forward.close()
        if self.services is not None:
            await self.services.close()

    async def _lifespan(self, receive: Receive, send: Send) -> None:
        while True:
            message = await receive()
            if message["type"] == "lifespan.startup":
                when_streams_end(self._end_streams)
                recorder.start()
                await self.open()
                await send({"type": "lifespan.startup.complete"})
            elif message["type"] == "lifespan.shutdown":
                with contextlib.suppress(Exception):
                    await self.close()
                await asyncio.to_thread(recorder.stop)
                await send({"type": "lifespan.shutdown.complete"})
                return

    def _end_streams(self) -> None:
        self.events.end()
        self.breakers.events.end()
        self.ai.gateway.end()
        self.forward.end()

    async def _authenticator(self) -> Authenticator:
        return (await self.open()).auth

    async def _stream(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send) -> Answer | None:
        """Streams until the caller or we end it; an answer where it could not begin."""
        try:
            stream = self.breakers.stream if is_breaker_events(scope["path"]) else self.events
            await stream(scope, headers, receive, send, (await self.open()).auth)
        except DialectError as error:
            return answers.of_error(error)
        return None

    async def _respond(self, scope: Message, headers: dict[str, str], receive: Receive) -> Answer | None:
        """The answer; None: it is for the upstream to give."""
        path = scope["path"]
        if path == "/healthz":
            return answers.of_value(200, {"status": "alive"})
        if self._in_flight >= self.settings.most_in_flight:
            return answers.of_error(_busy())
        self._in_flight += 1
        try:
            services = await self.open()
            if path == "/readyz":
                return await _ready(services)
            return await self._serve(services, scope, headers, receive)
        except DialectError as error:
            return None if self.forward.takes(error.code, scope["method"]) else answers.of_error(error)
        except DatabaseError as error:
            return answers.of_error(from_failure(error.failure, authenticated=True))
        except Exception:
            log.exception("unexpected error at %s %s", scope["method"], path)
            hint = "This is a fault of the gateway; its log has the details."
            return answers.of_error(DialectError("MG500", 500, "Internal error of the gateway", None, hint))
        finally:
            self._in_flight -= 1

    async def _serve(self, services: Services, scope: Message, headers: dict[str, str], receive: Receive) -> Answer:
        method = scope["method"]
        if is_preflight(method, headers):
            return preflight(headers)
        if len(scope["query_string"]) > self.settings.url_limit:
            raise DialectError("MG414", 414, "The URL is too long", None, f"At most {self.settings.url_limit} bytes.")
        breakers = is_breakers(scope["path"])
        body = await read_body(headers, receive, MOST_BYTES if breakers else self.settings.body_limit, self.room)
        try:
            return await self._answered(services, scope, headers, body, breakers=breakers)
        finally:
            self.room.leave(len(body))

    async def _answered(self, services: Services, scope: Message, headers: dict[str, str], body: bytes, *, breakers: bool) -> Answer:
        method = scope["method"]
        caller = await services.auth.caller(headers)
        if breakers:
            return await self.breakers.answer(method, _raw_path(scope), headers, body, caller)
        if caller.scopes and "data" not in caller.scopes:
            raise DialectError("42501", 403, "This API key may not use the data API", None, "Give it the scope data, or use another key.")
        if not services.keeper.ready:
            raise DialectError("PGRST002", 503, "The schema could not be loaded yet", None, "The target database does not answer.", _RETRY)
        path = _raw_path(scope)
        if path == TRANSACTIONS:
            return await _transacted(services, Envelope(method, path, scope["query_string"], headers, body), caller)
        request = parse(method, path.removeprefix(PREFIX), scope["query_string"], headers, self.settings.exposed_schemas)
        if method == "OPTIONS":
            return Answer(200, [("Allow", _ALLOWED[request.kind])])
        envelope = Envelope(method, path, scope["query_string"], headers, body)
        if request.kind == "root":
            return await self._described(services, request, envelope, caller)
        return await _admitted(services, request, envelope, caller)

    async def _described(self, services: Services, request: Request, envelope: Envelope, caller: Caller) -> Answer:
        """The schema's own document, within the caller's limits."""
        held = await services.quotas.enter(caller, 0)
        try:
            return await self.documents.answer(services, request, envelope, caller)
        finally:
            services.quotas.leave(caller, held)


async def _admitted(services: Services, request: Request, envelope: Envelope, caller: Caller) -> Answer:
    """A request within its caller's limits, and what became of it told to the metrics."""
    started = perf_counter()
    try:
        held = await services.quotas.enter(caller, len(envelope.body))
        try:
            answer = await _carry_out(services, request, envelope, caller)
        finally:
            services.quotas.leave(caller, held)
    except DialectError as error:
        watch.refused(request, caller, error.status, perf_counter() - started)
        raise
    except Exception:
        watch.refused(request, caller, watch.OURS, perf_counter() - started)
        raise
    if answer.status != PARTIAL:
        watch.answered(request, caller, answer, perf_counter() - started)
    return answer


async def _transacted(services: Services, envelope: Envelope, caller: Caller) -> Answer:
    """A transaction within its caller's limits; its operations are told to the metrics one by one."""
    held = await services.quotas.enter(caller, len(envelope.body))
    try:
        return await transact(services, envelope, caller)
    finally:
        services.quotas.leave(caller, held)


async def _carry_out(services: Services, request: Request, envelope: Envelope, caller: Caller) -> Answer:
    if request.is_write:
        writing = write(services, request, envelope, caller)
        return await (waited(services, request, envelope, caller, writing) if request.preferences.wait else writing)
    claim = await claim_of(services, caller, envelope) if envelope.method == "POST" else None
    return await read(services, request, caller, envelope.headers, envelope.body, claim)


def _joined(pairs: Iterable[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by lower-cased name; one sent on several lines means all of them (a second ``Prefer`` must not be lost)."""
    found = [(raw_name.decode("latin-1").lower(), raw.decode("latin-1")) for raw_name, raw in pairs]
    headers = dict(found)
    if len(headers) != len(found):
        headers = {}
        for name, value in found:
            headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers


def create(settings: Settings) -> Gateway:
    """The application for one process."""
    return Gateway(settings)


_ALLOWED = {"root": "OPTIONS,GET,HEAD", "table": "OPTIONS,GET,HEAD,POST,PUT,PATCH,DELETE", "rpc": "OPTIONS,GET,HEAD,POST"}
_RETRY = (("Retry-After", "1"),)


def _busy() -> DialectError:
    return DialectError("MG503", 503, "The gateway is busy", None, "Try again shortly.", _RETRY)


async def _ready(services: Services) -> Answer:
    """Ready = the schema is loaded and the target answers."""
    problems = []
    if not services.keeper.ready:
        problems.append("the schema is not loaded")
    if services.pool.is_full:
        problems.append("target database: its disk is full")
    try:
        async with services.pool.connection(gated=False) as connection:
            await connection.fetchval("SELECT 1")
    except (DatabaseError, OSError) as error:
        problems.append(f"target database: {error}")
    state = {"status": "ready" if not problems else "not ready", "problems": problems}
    return answers.of_value(200 if not problems else 503, state)


def _raw_path(scope: Message) -> str:
    raw = scope.get("raw_path") or scope["path"].encode()
    return str(raw.decode("latin-1").partition("?")[0])


async def _send(send: Send, answer: Answer, headers: list[tuple[str, str]], *, head: bool) -> None:
    """``headers`` are those that are not ready, and what goes beside the answer's own."""
    raw = [*answer.ready, *answers.encoded(headers)]
    if answer.status not in (204, 304) and not head:
        raw.append((b"content-length", str(len(answer.body)).encode()))
    await send({"type": "http.response.start", "status": answer.status, "headers": raw})
    await send({"type": "http.response.body", "body": b"" if head else answer.body})
