"""What went out of a stream, where somebody wants it afterwards: the log, and the cache."""

from __future__ import annotations

from collections.abc import Callable

from breakers.gateway.ai.cache import MOST_EACH


class Heard:
    """Is called with each part. ``whole``: all of it, None where it is not kept or too long to be."""

    def __init__(self, log: Callable[[bytes], None] | None, *, keeps: bool) -> None:
        self._log, self._keeps = log, keeps
        self._body = bytearray()
        self.wanted = keeps or log is not None

    def __call__(self, part: bytes) -> None:
        if self._log is not None:
            self._log(part)
        if self._keeps:
            self._body += part
            if len(self._body) > 4 * MOST_EACH:  # events are several times as long as what they say
                self._keeps = False
                self._body.clear()

    @property
    def whole(self) -> bytes | None:
        return bytes(self._body) if self._keeps else None
