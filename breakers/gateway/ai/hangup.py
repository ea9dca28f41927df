"""Ends the work on a request when its caller hangs up, or when the process has to stop."""

from __future__ import annotations

import asyncio
from types import TracebackType

from breakers.gateway.ai.asgi import Receive

PATIENCE = 0.02
"""Seconds before the watch begins: waiting for a caller to leave costs the server more than a quick answer does."""


class Watch:
    """Around the work. When ``gone`` (the caller left) or ``stopped`` the task is cancelled, and the block left without an error."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.gone = False
        self.stopped = False
        self._watching: asyncio.Future[None] | None = None

    async def __aenter__(self) -> Watch:
        task = asyncio.current_task()
        assert task is not None
        self._task = task
        self._beginning = asyncio.get_running_loop().call_later(PATIENCE, self._begin)
        return self

    def _begin(self) -> None:
        self._watching = asyncio.ensure_future(self._wait())

    def release(self) -> None:
        """The answer is made: from now on a caller who leaves changes nothing (servers report that as soon as the last part is sent)."""
        self._beginning.cancel()
        if self._watching is not None:
            self._watching.cancel()

    def stop(self) -> None:
        """There is no more time."""
        self.stopped = True
        self._task.cancel()

    async def _wait(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._task.cancel()

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> bool:
        self.release()
        if kind is not None and issubclass(kind, asyncio.CancelledError) and (self.gone or self.stopped):
            return self._task.uncancel() == 0
        return False
