"""Notices by polling that the target's schema may have changed: what works with every login and every target.

The tail of the DDL log, where there is one that takes entries, is sure and costs nothing. Counters of catalog writes cost nearly
nothing, but may lag and also move for temporary tables. The fingerprint of the catalog is sure and costs more with size: it is taken
when the counters moved, and otherwise so rarely that it takes less than 1 % of the time. It is read *before* a capture reads: what
commits in between is seen by the next look.

In a large catalog a change that the log tells is read by itself. The fingerprint moves then too; that this change is all there was
is verified by reading everything, but as rarely.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable
from enum import Enum
from typing import Any, NamedTuple

import psycopg
from psycopg import errors

from schema_monitor import catalog
from schema_monitor.patience import within

EVERY = 1.0
"""The least number of seconds between two fingerprints while nothing moves."""
SHARE, SHARE_BACKED, SHARE_MOVED = 0.008, 0.002, 0.1
"""The part of the time that fingerprints may take: in quiet, where nothing else can tell; in quiet where counters can; and while these
move. ``SHARE`` is that of verifying, too."""
CHEAP = 0.02
"""Seconds that a fingerprint may cost when a capture is due anyway; a dearer one is taken afterwards."""
SMALL = 0.25
"""Seconds: where reading everything costs no more, everything is read each time."""
PATIENCE = 3.0
"""Seconds that a look may take before the connection is given up."""
_UNREADABLE = (
    errors.UndefinedTable,
    errors.UndefinedColumn,
    errors.InvalidSchemaName,
    errors.InsufficientPrivilege,
    errors.LockNotAvailable,
)


class Found(Enum):
    """What a look found: nothing; a change that the log tells; a change of which nothing is known."""

    NOTHING = 0
    LOGGED = 1
    CHANGED = 2


class Sight(NamedTuple):
    """The row of ``look.sql``."""

    tail: str | None
    writes: str | None
    standby: bool
    counts: bool
    triggers: str | None

    def otherwise(self, before: Sight) -> bool:
        """Whether the log can be read now and could not before, or the other way round, or its triggers are others."""
        return (self.tail is None) != (before.tail is None) or self.triggers != before.triggers


class Detector:
    """Decides whether one target's schema may have changed. ``clock`` is monotonic seconds."""

    def __init__(self, target: psycopg.Connection[Any], clock: Callable[[], float] = time.monotonic, patience: float = PATIENCE) -> None:
        self._target, self._clock, self._patience = target, clock, patience
        self.sight: Sight | None = None
        self._fingerprint: str | None = None
        self._taken, self._moved = 0.0, True
        self._costs: deque[float] = deque(maxlen=3)
        self._told = False
        """the log told of something since the last fingerprint."""
        self.missed = False
        """The last look found a change of which a log that was read told nothing."""
        self._verified, self._whole_cost, self._owing = 0.0, 0.0, False

    @property
    def small(self) -> bool:
        """Whether reading everything costs so little that nothing else is worth while."""
        return self._whole_cost < SMALL

    @property
    def _cost(self) -> float:
        """Seconds that a fingerprint takes; not what a busy moment made of it."""
        return min(self._costs, default=0.0)

    @property
    def interval(self) -> float:
        """Seconds between two fingerprints in quiet."""
        backed = self.sight is not None and self.sight.counts and not self.sight.standby
        return max(EVERY, self._cost / (SHARE_BACKED if backed else SHARE))

    @property
    def interval_moved(self) -> float:
        """The same while the counters move."""
        return self._cost / SHARE_MOVED

    def look(self, *, logged: bool) -> Found:
        """Whether something changed since the last look (``logged``: there is a log that we may read). The first look says yes."""
        before, now = self._renewed(logged)
        if before is not None and now.otherwise(before):
            return self._start_anew(by_triggers=now.triggers != before.triggers)
        if before is not None and now.tail != before.tail:
            self._settle()
            return Found.LOGGED
        if self._due() and self._take():
            told, self._told = self._told, False
            if not told or self.small:
                self.missed = not told and before is not None and now.tail is not None
                return Found.CHANGED
            self._owing = True
        return Found.CHANGED if self._may_verify() else Found.NOTHING

    def rang(self, *, logged: bool, by_log: bool) -> Found:
        """A capture is asked for, by the log or by somebody who saw a change: what it will read need not be detected again, where
        that is cheap to tell."""
        before, now = self._renewed(logged)
        if before is None or now.otherwise(before):
            return self._start_anew(by_triggers=True)
        if by_log or now.tail != before.tail:
            self._settle()
            return Found.LOGGED
        told, self._told = self._told, False
        changed = self._take()
        self._owing = self._owing or (changed and told)
        return Found.CHANGED if changed and not told else Found.LOGGED

    def captured(self, seconds: float, *, whole: bool) -> None:
        """A capture was done after the last look; how long it took, and whether it read everything."""
        if whole:
            self._verified, self._whole_cost, self._owing = self._clock(), seconds, False
        else:
            self._owing = True

    def forget(self) -> None:
        """The last change was not captured after all: the next look says yes again."""
        self.sight, self._fingerprint, self._moved, self._told, self.missed = None, None, True, False, False

    def _renewed(self, logged: bool) -> tuple[Sight | None, Sight]:
        before, now = self.sight, self._see(logged)
        self.sight, self.missed = now, False
        self._moved = self._moved or before is None or now.writes != before.writes
        return before, now

    def _start_anew(self, *, by_triggers: bool) -> Found:
        """The log came, went, or was silent meanwhile: what changed until now is not what it tells."""
        self._told, changed = False, self._take()
        return Found.CHANGED if changed or by_triggers else Found.NOTHING

    def _settle(self) -> None:
        self._told = True
        if self._cost < CHEAP:
            self._take()
            self._told = False

    def _see(self, logged: bool) -> Sight:
        try:
            return self._read(catalog.statement("ddl_log_tail") if logged else "NULL")
        except _UNREADABLE:
            self._target.rollback()
            return self._read("NULL")

    def _read(self, tail: str) -> Sight:
        """One round trip."""
        query = catalog.statement("look").replace("{tail}", tail)
        begin = f"BEGIN READ ONLY; {catalog.SETTINGS.format(plan='auto')}; SET LOCAL lock_timeout = '1s'"
        with within(self._patience, self._target):
            cursor = self._target.execute(f"{begin}; {query}; COMMIT")
        while cursor.description is None:
            if not cursor.nextset():
                raise psycopg.OperationalError("The target gave no answer.")
        return Sight(*(cursor.fetchone() or ()))

    def _take(self) -> bool:
        began = self._clock()
        with within(10 * self._patience + 10 * self._cost, self._target):
            fingerprint = catalog.read_text_sync(self._target, "fingerprint")
        self._taken, self._moved = self._clock(), False
        self._costs.append(self._taken - began)
        changed, self._fingerprint = fingerprint != self._fingerprint, fingerprint
        return changed

    def _due(self) -> bool:
        if self._fingerprint is None:
            return True
        return self._clock() - self._taken >= (self.interval_moved if self._moved else self.interval)

    def _may_verify(self) -> bool:
        return self._owing and self._clock() - self._verified >= self._whole_cost / SHARE
