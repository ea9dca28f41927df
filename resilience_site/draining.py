"""A web worker that is about to stop says so first, and serves on meanwhile: no caller meets a server that is just going away.

1. ``/readyz`` says 503: balancers send nobody new. 2. Every answer ends its connection (``Connection: close``), so that callers who keep
theirs open go elsewhere before it is cut. 3. The server stops (``resilience_site.web``), and finishes what is under way.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

Message = MutableMapping[str, Any]
Send = Callable[[Message], Awaitable[None]]

BEGINS = signal.SIGUSR2
"""Sent to each worker before it is told to stop."""
READY_PATH = "/readyz"
_CLOSE = (b"connection", b"close")
_TYPE = (b"content-type", b"application/json")
_SAID = b'{"status":"draining","problems":["this process is about to stop"]}'


class Draining:
    """Whether this worker drains. Nothing is undone: it ends by stopping."""

    def __init__(self) -> None:
        self.begun = False

    def follow(self) -> None:
        """Listens for ``BEGINS``; nothing where this is not the main thread of a process (tests, other servers)."""
        with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
            asyncio.get_running_loop().add_signal_handler(BEGINS, self.begin)

    def begin(self) -> None:
        """From here on."""
        self.begun = True


def closing(send: Send) -> Send:
    """The same answer, and its connection ends with it."""

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            kept = [pair for pair in message.get("headers", ()) if pair[0].lower() != b"connection"]
            message = {**message, "headers": [*kept, _CLOSE]}
        await send(message)

    return sending


async def say_not_ready(send: Send) -> None:
    """The answer to ``/readyz`` meanwhile."""
    length = (b"content-length", str(len(_SAID)).encode())
    await send({"type": "http.response.start", "status": 503, "headers": [_TYPE, length]})
    await send({"type": "http.response.body", "body": _SAID})
