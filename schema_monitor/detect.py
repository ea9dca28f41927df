"""Notices by polling that the target's schema may have changed: what works with every login and every target.

The tail of the DDL log, where there is one, is sure and costs nothing. Counters of catalog writes cost nearly nothing, but may lag
and also move for temporary tables. The fingerprint of the catalog is sure and costs more with size: it is taken when the counters
moved, and otherwise so rarely that it takes about 1 % of the time. It is read *before* a capture reads: what commits in between is
seen by the next look.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import psycopg

from schema_monitor import catalog

EVERY = 1.0
"""The least number of seconds between two fingerprints while nothing moves."""
SHARE, SHARE_MOVED = 0.01, 0.1
"""The part of the time that fingerprints may take: in quiet, and while the counters move."""
CHEAP = 0.02
"""Seconds that a fingerprint may cost when a capture is due anyway; a dearer one is taken afterwards."""


class Detector:
    """Decides whether one target's schema may have changed. ``clock`` is monotonic seconds."""

    def __init__(self, target: psycopg.Connection[Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._target, self._clock = target, clock
        self._writes: str | None = None
        self._tail: str | None = None
        self._fingerprint: str | None = None
        self._taken, self._cost, self._moved = 0.0, 0.0, True

    def changed(self, *, logged: bool = False) -> bool:
        """Whether the log's tail moved (``logged``: there is one that we may read) or the fingerprint differs from the one seen
        last; the first look says yes."""
        if logged and self._tail_moved():
            self.settle(logged=False)
            return True
        writes = catalog.read_text_sync(self._target, "counters")
        self._moved = self._moved or writes != self._writes
        self._writes = writes
        return self._due() and self._take()

    def settle(self, *, logged: bool) -> None:
        """A capture is due anyway: what it will read need not be detected again, where that is cheap to tell."""
        if logged:
            self._tail_moved()
        if self._cost < CHEAP:
            self._take()

    def forget(self) -> None:
        """The last change was not captured after all: the next look says yes again."""
        self._fingerprint, self._tail, self._moved = None, None, True

    def _tail_moved(self) -> bool:
        tail = catalog.read_text_sync(self._target, "ddl_log_tail")
        moved, self._tail = tail != self._tail, tail
        return moved

    def _take(self) -> bool:
        began = self._clock()
        fingerprint = catalog.read_text_sync(self._target, "fingerprint")
        self._taken, self._moved = self._clock(), False
        self._cost = self._taken - began
        changed, self._fingerprint = fingerprint != self._fingerprint, fingerprint
        return changed

    def _due(self) -> bool:
        share = SHARE_MOVED if self._moved else SHARE
        return self._fingerprint is None or self._clock() - self._taken >= max(0.0 if self._moved else EVERY, self._cost / share)
