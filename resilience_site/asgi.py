"""One ASGI application for everything: the data API goes to the fast path, the rest to Django.

Django is imported in a thread after start-up, so that the data API serves first; a request for Django that comes
earlier waits for it.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, cast

from resilience_site import garbage, wiring
from resilience_site.config import config
from resilience_site.draining import READY_PATH, Draining, closing, say_not_ready

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Message, Receive, Send], Awaitable[None]]

FAST_PREFIXES = (
    "/rest/v1/", "/v1/", "/api/v1/transactions", "/api/v1/breakers/",
    "/auth/v1", "/storage/v1", "/functions/v1", "/realtime/v1", "/graphql/v1",
)  # fmt: skip
FAST_PATHS = ("/rest/v1", "/v1", "/healthz", "/readyz", "/api/v1/schema/events", "/api/v1/breakers")


class Site:
    """The dispatcher. ``fast`` also answers the lifespan, so that its pools open and close with the process."""

    def __init__(self, fast: App, load_django: Callable[[], App]) -> None:
        self.fast = fast
        self.load_django = load_django
        self.django: asyncio.Task[App] | None = None
        self.draining = Draining()

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Hand the connection to the one that serves its path."""
        if self.draining.begun and scope["type"] == "http":
            send = closing(send)
            if scope["path"] == READY_PATH:
                await say_not_ready(send)
                return
        if scope["type"] == "lifespan":
            await self.fast(scope, receive, self._started(send))
        elif scope["path"].startswith(FAST_PREFIXES) or scope["path"] in FAST_PATHS:
            await self.fast(scope, receive, send)
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
        else:
            django = await asyncio.shield(self._django())  # one caller hanging up must not stop the import
            await django(scope, receive, send)

    def _django(self) -> asyncio.Task[App]:
        if self.django is None or (self.django.done() and self.django.exception()):
            self.django = asyncio.create_task(asyncio.to_thread(self._load))
        return self.django

    def _load(self) -> App:
        app = self.load_django()
        garbage.settle()
        return app

    def _started(self, send: Send) -> Send:
        async def sending(message: Message) -> None:
            if message["type"] == "lifespan.startup.complete":
                self.draining.follow()
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self._django()

        return sending


def load_django() -> App:
    """Import Django and build its application."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "resilience_site.settings")
    from django.core.asgi import get_asgi_application

    return cast("App", get_asgi_application())


def create() -> App:
    """Build the application of this process."""
    from healing.gateway.app import create as create_gateway

    settings = wiring.connect(config().require_sound())
    site = Site(create_gateway(settings), load_django)
    if not config().otlp_endpoint:
        return site
    from resilience_site.tracing import traced  # costs half a second to import

    return traced(site)


application = create()
