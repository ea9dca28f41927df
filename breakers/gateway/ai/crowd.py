"""Keeps a crowd from storming a provider that nobody has heard of lately: the first ones find out, the others wait a moment.

Without it a thousand requests that come at once would each try a dead provider before its breaker can open.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

FIRST = 32
"""So many may ask at once, whatever is known."""
MOMENT = 0.05
"""Seconds that the others wait for a first answer."""
LATELY = 10.0


class Crowd:
    """Before one provider."""

    def __init__(self) -> None:
        self._asking = 0
        self._answered_at = float("-inf")
        self._answer = asyncio.Event()

    async def turn(self) -> None:
        """Returns when it is sensible to ask; always within a moment."""
        if self._asking < FIRST or self.answered_within(LATELY):
            return
        self._answer.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(MOMENT):
                await self._answer.wait()

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Around the time until an answer begins."""
        self._asking += 1
        try:
            yield
        finally:
            self._asking -= 1

    def answered(self) -> None:
        """It works."""
        self._answered_at = time.monotonic()
        self._answer.set()

    def answered_within(self, seconds: float) -> bool:
        """Whether it has answered so lately."""
        return time.monotonic() - self._answered_at < seconds
