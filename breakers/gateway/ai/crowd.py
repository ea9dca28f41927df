"""Keeps a crowd from storming a provider that nobody has heard of lately: the first ones find out, the others wait a moment.

Without it a thousand requests that come at once would each try a dead provider before its breaker can open.
"""

from __future__ import annotations

import asyncio
import time

FIRST = 32
"""So many may ask at once, whatever is known."""
MOMENT = 0.05
"""Seconds that another waits for one of them to be done, at most."""
LATELY = 10.0


class Crowd:
    """Before one provider."""

    def __init__(self) -> None:
        self._places = asyncio.Semaphore(FIRST)
        self._answered_at = float("-inf")

    async def enter(self) -> bool:
        """Returns when it is sensible to ask, always within a moment; whether a place was taken, for ``leave``."""
        if self.answered_within(LATELY):
            return False
        try:
            async with asyncio.timeout(MOMENT):
                return await self._places.acquire()
        except TimeoutError:
            return False

    def leave(self, place: bool) -> None:
        """An answer has begun, or there is none."""
        if place:
            self._places.release()

    def answered(self) -> None:
        """It works."""
        self._answered_at = time.monotonic()

    def answered_within(self, seconds: float) -> bool:
        """Whether it has answered so lately."""
        return time.monotonic() - self._answered_at < seconds
