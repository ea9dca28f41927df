"""Notices that the target's schema may have changed, and captures then.

Two detectors here, both polled; a third (an event trigger in the target that notifies) will call ``Watcher.wake`` and change nothing
else. Counters of catalog writes cost nearly nothing and are asked every second, but may lag and also move for temporary tables. The
fingerprint of the catalog is sure and costs more with size: it is taken when the counters moved, and otherwise so rarely that it
takes about 1 % of the time. It is read *before* a capture reads: what commits in between is seen by the next look.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection, transaction

from schema_monitor import catalog
from schema_monitor.capture import capture

log = logging.getLogger(__name__)
CHANNEL = "mendgate_capture"
EVERY = 1.0
"""Seconds between two looks."""
SHARE, SHARE_MOVED = 0.01, 0.1
"""The part of the time that fingerprints may take: in quiet, and while the counters move."""
PAUSES = (0.5, 1, 2, 5, 10)
"""Seconds to wait after the first, second, … failure in a row."""


class Detector:
    """Decides whether one target's schema may have changed. ``clock`` is monotonic seconds."""

    def __init__(self, target: psycopg.Connection[Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._target, self._clock = target, clock
        self._writes: str | None = None
        self._fingerprint: str | None = None
        self._taken, self._cost, self._moved = 0.0, 0.0, True

    def changed(self) -> bool:
        """Whether the fingerprint differs from the one seen last; the first look says yes."""
        writes = catalog.read_text_sync(self._target, "counters")
        self._moved = self._moved or writes != self._writes
        self._writes = writes
        if not self._due():
            return False
        began = self._clock()
        fingerprint = catalog.read_text_sync(self._target, "fingerprint")
        self._taken, self._moved = self._clock(), False
        self._cost = self._taken - began
        changed, self._fingerprint = fingerprint != self._fingerprint, fingerprint
        return changed

    def forget(self) -> None:
        """The last change was not captured after all: the next look says yes again."""
        self._fingerprint, self._moved = None, True

    def _due(self) -> bool:
        share = SHARE_MOVED if self._moved else SHARE
        return self._fingerprint is None or self._clock() - self._taken >= max(0.0 if self._moved else EVERY, self._cost / share)


class Watcher:
    """The loop: look, capture, wait for a second or for somebody who asks. ``stop`` may be called from a signal handler."""

    def __init__(self) -> None:
        self.stopping = False
        self._failures = 0

    def stop(self, *_signal: object) -> None:
        """Ends the loop within a second."""
        self.stopping = True

    def run(self) -> None:
        """Until ``stop``. Lost connections are made again, with growing pauses."""
        while not self.stopping:
            try:
                self._watch()
            except (psycopg.Error, OSError) as error:
                self._recover(error)
            except Exception as error:  # whatever it is, tomorrow's changes must still be seen
                log.exception("schema watcher: unexpected fault")
                self._recover(error)

    def _watch(self) -> None:
        with self._connect(settings.MENDGATE.target_database_url) as target, self._connect(settings.MENDGATE.database_url) as control:
            control.execute(f"LISTEN {CHANNEL}")
            detector, asked = Detector(target), True
            while not self.stopping:
                if detector.changed() or asked:
                    self._capture(detector)
                self._failures = 0
                asked = self._asked(control)

    def _capture(self, detector: Detector) -> None:
        try:
            version = capture("watcher")
        except BaseException:
            detector.forget()
            raise
        if version is not None:
            log.info("schema %s", version)

    def _asked(self, control: psycopg.Connection[Any]) -> bool:
        """Waits up to a second; whether somebody asked for a capture meanwhile."""
        asked = list(control.notifies(timeout=EVERY, stop_after=1))
        return bool(asked + list(control.notifies(timeout=0)))

    def _connect(self, url: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            url, autocommit=True, connect_timeout=10, application_name="mendgate watcher", keepalives_idle=30, tcp_user_timeout=30_000
        )

    def _recover(self, error: Exception) -> None:
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        log.warning("schema watcher: %s Trying again in %s s.", str(error).strip(), pause)
        _drop_control_connection()
        until = time.monotonic() + pause
        while not self.stopping and time.monotonic() < until:
            time.sleep(0.1)


def ask() -> None:
    """Asks the watcher, wherever it runs, to capture now."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])


def _drop_control_connection() -> None:
    """Django's own connection to the control database may be the broken one."""
    connection.close()
