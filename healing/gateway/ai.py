"""``/v1/…``: the AI gateway behind healing's authentication and CORS."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from breakers.gateway.ai.app import AiGateway
from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.errors import AiError, unauthenticated
from healing.gateway.auth import Authenticator
from healing.gateway.cors import cors_headers, is_preflight, preflight
from healing.gateway.errors import DialectError

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


def is_ai(path: str) -> bool:
    """Whether the AI gateway serves this path."""
    return path.startswith("/v1/") or path == "/v1"


class Ai:
    """The mount. ``authenticator`` gives the process's, opened on first use."""

    def __init__(self, gateway: AiGateway, authenticator: Callable[[], Awaitable[Authenticator]]) -> None:
        self.gateway, self._authenticator = gateway, authenticator

    async def __call__(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send) -> None:
        """Answers one request."""
        if is_preflight(scope["method"], headers):
            answer = preflight(headers)
            await send({"type": "http.response.start", "status": answer.status, "headers": _raw(answer.headers)})
            await send({"type": "http.response.body", "body": b""})
            return
        cors = _raw(cors_headers(headers.get("origin")))
        await self.gateway(scope, headers, receive, _with(cors, send) if cors else send, self._authenticate)

    async def _authenticate(self, headers: dict[str, str]) -> AiCaller:
        try:
            caller = await (await self._authenticator()).caller(headers)
        except DialectError as error:
            raise _translated(error) from None
        return AiCaller(caller.key, caller.role, caller.subject, caller.scopes)


def _translated(error: DialectError) -> AiError:
    message = f"{error.message}. {error.hint}" if error.hint else error.message
    if error.status == 401:
        return unauthenticated(message, error.headers)
    return AiError(error.status, message, "api_error", error.code, None, error.headers)


def _with(more: list[tuple[bytes, bytes]], send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message["headers"], *more]
        await send(message)

    return sending


def _raw(headers: list[tuple[str, str]]) -> list[tuple[bytes, bytes]]:
    return [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in headers]
