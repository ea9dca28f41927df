"""Fairness inside the event loop: a pass of it does only so many pieces of AI work, so that writes beside them never wait for a crowd.

The data API shares the loop. A thousand AI calls that come at once are a thousand things to do *in each pass*, and an insert needs several
passes. Here they stand in line: each pass lets a few of them on, and everything else gets its turn in between. Who has nobody before him
goes on at once. Only work is rationed, never calls: one that waits for its provider takes no turn.

What was begun goes before what begins: then a crowd is answered one after the other, over few connections, and not all at the end. One
piece of each pass is for beginners, so that nobody waits for ever.
"""

from __future__ import annotations

import asyncio
from collections import deque

PIECES = 4
"""A pass of the loop does so many: about a millisecond."""


class Turns:
    """Of one event loop."""

    def __init__(self, pieces: int = PIECES) -> None:
        self._pieces = self._left = pieces
        self._beginners: deque[asyncio.Future[None]] = deque()
        self._begun: deque[asyncio.Future[None]] = deque()
        self._passing = False

    async def begin(self) -> None:
        """Returns when it is the turn of a call that has just come."""
        if not self._free():
            await self._wait(self._beginners)

    async def go_on(self) -> None:
        """Returns when it is the turn of one that is under way: before its next piece of work."""
        if not self._free():
            await self._wait(self._begun)

    def _free(self) -> bool:
        """Whether somebody may go on at once; counts him."""
        if self._left <= 0:
            return False
        self._left -= 1
        if self._left * 2 <= self._pieces:  # a pass of its own for each piece would cost more than it does
            self._next_pass()
        return True

    async def _wait(self, line: deque[asyncio.Future[None]]) -> None:
        place = asyncio.get_running_loop().create_future()
        line.append(place)
        self._next_pass()
        await place

    def _next_pass(self) -> None:
        if not self._passing:
            self._passing = True
            asyncio.get_running_loop().call_soon(self._pass)

    def _pass(self) -> None:
        self._passing = False
        self._left = self._pieces
        self._let_on(self._begun, self._pieces - 1)
        self._let_on(self._beginners, self._left)
        self._let_on(self._begun, self._left)
        if self._beginners or self._begun:
            self._next_pass()

    def _let_on(self, line: deque[asyncio.Future[None]], most: int) -> None:
        while line and most > 0:
            place = line.popleft()
            if not place.done():  # else he left
                place.set_result(None)
                self._left -= 1
                most -= 1
