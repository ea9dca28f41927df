"""Listens to the target: the DDL log rings the moment a change commits.

Whether we can hear is proven, not assumed: a heartbeat, a notification to ourselves, must come back. Behind a pooler that breaks
LISTEN, on a standby, or without event triggers we are deaf and say so; then polling is all there is. Whether there is anything to hear
is proven too, when we start and whenever a change was found that the log should have told (``proof``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from psycopg import errors

from schema_monitor import ddl_log, install
from schema_monitor.proof import takes_entries

log = logging.getLogger(__name__)
PROBE = "probe"
PROBE_EVERY, PROBE_WITHIN = 30.0, 5.0
PRUNE_EVERY = 3600.0


class Ear:
    """``listening`` is an autocommit connection for this alone, ``target`` another one to the same database. ``clock`` is
    monotonic seconds."""

    def __init__(
        self, listening: psycopg.Connection[Any], target: psycopg.Connection[Any], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._listening, self._target, self._clock = listening, target, clock
        self._asked: float | None = None
        self._heard = False
        self._next_probe = self._next_prune = 0.0
        self.heard_at: datetime | None = None
        self.alive = True
        """whether the log takes entries, as far as is known."""
        self.look()
        self.prove()
        self.pooled = is_pooled(listening)
        self._can_listen = not self.pooled and self._try(f"LISTEN {ddl_log.CHANNEL}")

    @property
    def heard(self) -> bool:
        """Whether the last heartbeat came back."""
        return self._heard

    @property
    def hears(self) -> bool:
        """Whether a change rings here within milliseconds."""
        return self._heard and self.monitor.works and self.alive and self.monitor.notifies

    @property
    def waits(self) -> bool:
        """Whether a heartbeat is under way."""
        return self._asked is not None

    def fileno(self) -> int:
        """For ``select``."""
        return self._listening.fileno()

    def drain(self) -> bool:
        """Takes what has come in; whether a change rang."""
        rang = False
        for each in self._listening.notifies(timeout=0):
            if each.payload.startswith(PROBE):
                self._heard, self._asked, self.heard_at = True, None, datetime.now(UTC)
            else:
                rang = True
        return rang

    def look(self) -> None:
        """Asks what there is of the log now."""
        self.monitor = install.look(self._target)

    def prove(self) -> None:
        """Tries whether the log takes entries; where that may not be tried it is believed."""
        self.alive = not self.monitor.works or takes_entries(self._target) is not False
        if not self.alive:
            log.warning("schema watcher: the DDL log of the target takes no entries. Run: python manage.py install_monitor")

    def check(self) -> None:
        """Looks after itself, when that is due: is the log there, do heartbeats come back, is there something old to delete. Raises
        ``OperationalError`` where the connection heard and is deaf now."""
        now = self._clock()
        if self._asked is not None and now - self._asked > PROBE_WITHIN:
            self._asked = None
            if self._heard:
                raise psycopg.OperationalError("The listening connection to the target went silent.")
            log.warning("schema watcher: notifications do not arrive (a transaction pooler?). Looking twice a second.")
        if now >= self._next_probe:
            self._next_probe = now + PROBE_EVERY
            self.look()
            if not self.alive:
                self.prove()
            if self._can_listen and self._asked is None and self._try(f"NOTIFY {ddl_log.CHANNEL}, '{PROBE}'"):
                self._asked = now
        if self.monitor.readable and now >= self._next_prune:
            self._next_prune = now + PRUNE_EVERY
            self._prune()

    def _try(self, command: str) -> bool:
        try:
            (self._listening if command.startswith("LISTEN") else self._target).execute(command)
        except (errors.ReadOnlySqlTransaction, errors.FeatureNotSupported):  # a standby; some poolers
            return False
        return True

    def _prune(self) -> None:
        try:
            ddl_log.prune_sync(self._target)
        except (errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction, errors.LockNotAvailable) as error:
            log.warning("schema watcher: old rows of the DDL log stay: %s", str(error).strip())


def is_pooled(connection: psycopg.Connection[Any]) -> bool:
    """Whether statements of this one connection reach several sessions of the server: a transaction pooler."""
    sessions = {connection.execute("SELECT pg_catalog.pg_backend_pid()").fetchone() for _ in range(4)}
    return len(sessions) > 1
