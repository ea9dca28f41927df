"""The AI gateway's endpoints: OpenAI's dialect under ``/v1``. Free of Django.

POST /v1/chat/completions   (stream and not)      POST /v1/embeddings
GET  /v1/models             GET  /v1/models/<id>
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from urllib.parse import unquote

from breakers.core import own_keys
from breakers.core.ai.asked import CHAT, EMBEDDINGS, Invalid, read_asked
from breakers.gateway.ai import listing
from breakers.gateway.ai.account import Account
from breakers.gateway.ai.asgi import Message, Receive, Send, send_json
from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.engine import Engine
from breakers.gateway.ai.errors import AiError, busy, forbidden, invalid
from breakers.gateway.ai.hangup import Watch
from breakers.gateway.ai.serving import Serving
from breakers.gateway.ai.settings import AiSettings

log = logging.getLogger("mendgate.ai")
Authenticate = Callable[[dict[str, str]], Awaitable[AiCaller]]

PREFIX = "/v1/"
POSTED = (CHAT, EMBEDDINGS)
BODY_WITHIN = 60.0
"""Seconds for a whole body: who sends half of one holds a place, and there are ``most_in_flight``."""
GRACE = 8.0
"""Seconds that requests under way have when the process is to stop; the server waits ten."""


class AiGateway:
    """One per process."""

    def __init__(self, settings: AiSettings, engine: Engine | None = None) -> None:
        self.settings = settings
        self.engine = engine or Engine(settings)
        self._live: set[Watch] = set()
        self._in_flight = 0

    async def __call__(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send, authenticate: Authenticate) -> None:
        """Answers one request. ``authenticate`` raises ``AiError``."""
        head = scope["method"] == "HEAD"
        try:
            await self._serve(scope, headers, receive, send, authenticate)
        except AiError as error:
            await send_json(send, error.status, error.to_body(), error.headers, head=head)
        except Exception:
            log.exception("unexpected error at %s %s", scope["method"], scope["path"])
            fault = AiError(500, "Internal error of the gateway; its log has the details.", "api_error", "internal_error")
            await send_json(send, 500, fault.to_body(), head=head)

    async def open(self) -> None:
        """Begins to follow its configuration; needs no database to be there."""
        await self.engine.open()

    def end(self) -> None:
        """The process is about to stop: what is under way may finish, for a while."""
        asyncio.get_running_loop().call_later(GRACE, self._stop)

    async def close(self) -> None:
        """Ends its connections and sends off what was counted."""
        self._stop()
        await self.engine.close()

    def _stop(self) -> None:
        for watch in list(self._live):
            watch.stop()

    async def _serve(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send, authenticate: Authenticate) -> None:
        path, method = scope["path"].removeprefix(PREFIX).strip("/"), scope["method"]
        caller = await authenticate(headers)
        if not caller.may_ask:
            raise forbidden("This key may not ask the AI gateway. Give it the scope ai, or use a key of another role.")
        if path == "models" or path.startswith("models/"):
            _allow(method, "GET", "HEAD")
            snapshot = self.engine.source.snapshot
            name = unquote(path.removeprefix("models").removeprefix("/"))
            await send_json(send, 200, listing.one(snapshot, name) if name else listing.listed(snapshot), head=method == "HEAD")
            return
        if path not in POSTED:
            served = ", ".join(f"POST /v1/{each}" for each in POSTED)
            raise invalid(f"There is no {method} /v1/{path} here. Served are: {served}, GET /v1/models.", "unknown_url", status=404)
        _allow(method, "POST")
        _check_type(headers.get("content-type", ""))
        if self._in_flight >= self.settings.most_in_flight:
            raise busy()
        self._in_flight += 1
        try:
            await self.engine.turns.begin()
            await self._ask(caller, path, headers, await read_body(headers, receive, self.settings.body_limit), receive, send)
        finally:
            self._in_flight -= 1

    async def _ask(self, caller: AiCaller, endpoint: str, headers: dict[str, str], body: bytes, receive: Receive, send: Send) -> None:
        body, ours = own_keys.without(body)
        if ours:
            log.warning("an AI call of %s held API keys of Mendgate (%s…): they were taken out, rotate them", caller.key, "…, ".join(ours))
        try:
            asked = read_asked(endpoint, body)
        except Invalid as error:
            raise invalid(error.message, None, error.param) from None
        snapshot = self.engine.source.snapshot
        account = Account(caller, asked, body=body if snapshot.log_bodies else None, redacted=ours)
        watch = Watch(receive)
        serving = Serving(self.engine, account, headers, send, watch)
        self._live.add(watch)
        try:
            async with watch:
                await serving()
            if watch.stopped:
                await serving.stopping()
            elif watch.gone:
                account.left("the caller hung up")
        except AiError as error:
            account.failed(error)
            error.headers = (*account.headers(), *error.headers)
            raise
        except Exception as error:
            if not serving.begun:
                account.failed(AiError(500, f"{type(error).__name__}: {error}"[:500], "api_error", "internal_error"))
                raise
            account.left("the caller could not be reached")
            log.info("an answer could not be sent: %s", error)
        finally:
            self._live.discard(watch)
            lost = account.unanswered(snapshot.models)
            if account.admission is not None:
                await self.engine.ledger.release(account.admission, account.usage, account.served_model, lost)
            self.engine.ledger.record(account.close(), snapshot)


def _allow(method: str, *allowed: str) -> None:
    if method not in allowed:
        error = invalid(f"The method {method} is not allowed here: use {allowed[0]}.", "method_not_allowed", status=405)
        error.headers = (("Allow", ", ".join(allowed)),)
        raise error


def _check_type(given: str) -> None:
    kind = given.partition(";")[0].strip().lower()
    if kind and kind != "application/json" and not kind.endswith("+json"):
        raise invalid(f"Unsupported content type '{kind[:100]}': send application/json.", "unsupported_media_type", status=415)


async def read_body(headers: dict[str, str], receive: Receive, limit: int) -> bytes:
    """The whole body. Raises ``AiError`` where it is too large or too late, or the caller hung up."""
    try:
        async with asyncio.timeout(BODY_WITHIN):
            return await _read_body(headers, receive, limit)
    except TimeoutError:
        raise invalid("The body did not come in time.", "request_timeout", status=408) from None


async def _read_body(headers: dict[str, str], receive: Receive, limit: int) -> bytes:
    length = headers.get("content-length", "")
    if length.isascii() and length.isdigit() and int(length[:20]) > limit:
        raise _too_large(limit)
    parts, size = [], 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise invalid("The caller hung up before the whole body came.")
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            raise _too_large(limit)
        parts.append(part)
        if not message.get("more_body"):
            return b"".join(parts) if len(parts) > 1 else part


def _too_large(limit: int) -> AiError:
    return invalid(f"The body is too large: at most {limit} bytes.", "request_too_large", status=413)
