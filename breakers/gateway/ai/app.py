"""The AI gateway's endpoints: OpenAI's dialect under ``/v1``. Free of Django.

POST /v1/chat/completions   (stream and not)      POST /v1/embeddings
GET  /v1/models             GET  /v1/models/<id>
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from breakers.gateway.ai.caller import AiCaller
from breakers.gateway.ai.errors import AiError, no_provider
from breakers.gateway.ai.settings import AiSettings

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Authenticate = Callable[[dict[str, str]], Awaitable[AiCaller]]

PREFIX = "/v1/"


class AiGateway:
    """One per process."""

    def __init__(self, settings: AiSettings) -> None:
        self.settings = settings

    async def __call__(self, scope: Message, headers: dict[str, str], receive: Receive, send: Send, authenticate: Authenticate) -> None:
        """Answers one request. ``authenticate`` raises ``AiError``."""
        try:
            await authenticate(headers)
            raise no_provider()
        except AiError as error:
            body = error.to_body()
            raw = [(b"content-type", b"application/json"), (b"content-length", str(len(body)).encode())]
            await send({"type": "http.response.start", "status": error.status, "headers": raw})
            await send({"type": "http.response.body", "body": body})

    async def open(self) -> None:
        """Begins to follow its configuration; needs no database to be there."""

    def end(self) -> None:
        """The process is about to stop: nothing new, streams under way may finish."""

    async def close(self) -> None:
        """Ends its connections and sends off what was counted."""
