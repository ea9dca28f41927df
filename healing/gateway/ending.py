"""How a web worker learns that it is to stop, before the server waits for what is under way: a stream would never end by itself."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Callable

STREAMS_END = signal.SIGUSR1
"""Sent to each worker before SIGTERM, by ``resilience_site.web``."""


def when_streams_end(end: Callable[[], None]) -> None:
    """Calls ``end`` then; nothing where this is not the main thread of a process (tests, other servers)."""
    with contextlib.suppress(NotImplementedError, RuntimeError, ValueError):
        asyncio.get_running_loop().add_signal_handler(STREAMS_END, end)
