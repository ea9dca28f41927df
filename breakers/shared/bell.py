"""Wakes a thread that waits for its sockets."""

from __future__ import annotations

import math
import select
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol


class Readable(Protocol):
    """What can be waited for."""

    def fileno(self) -> int:
        """The descriptor."""


class Bell:
    """Any thread rings, one waits. A fork must close its copy."""

    def __init__(self) -> None:
        self._button, self._hammer = socket.socketpair()
        self._button.setblocking(False)
        self._rung = False

    def ring(self) -> None:
        """Costs a system call only where nobody rang since the other one woke."""
        if not self._rung:
            self._rung = True
            with suppress(OSError):  # full, or closed meanwhile
                self._button.send(b"!")

    def wait(self, sources: Sequence[Readable], timeout: float) -> list[Readable]:
        """Until it rings, a source has something to read, or the time is over. Returns those sources."""
        poll = select.poll()  # select() fails in processes with more than 1,024 connections
        for source in (self._hammer, *sources):
            poll.register(source.fileno(), select.POLLIN)
        ready = {descriptor for descriptor, _ in poll.poll(math.ceil(max(0.0, timeout) * 1000))}
        if self._hammer.fileno() in ready:
            self._hammer.recv(64)
            self._rung = False
        return [source for source in sources if source.fileno() in ready]

    def close(self) -> None:
        """Never rings again."""
        self._button.close()
        self._hammer.close()
