"""Notices that the target's schema may have changed, and captures then.

Best first: the DDL log's notification wakes us when a change commits (``ear``). Below it, polled (``detect``): the log's tail,
counters of catalog writes, and the fingerprint of the catalog. What commits during a capture rings again or is seen by the next
look: nothing is dropped. Notifications that pile up meanwhile are one capture.
"""

from __future__ import annotations

import logging
import select
import time
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection, transaction

from schema_monitor.capture import capture
from schema_monitor.detect import Detector
from schema_monitor.ear import Ear
from schema_monitor.watch_name import WATCHING

log = logging.getLogger(__name__)
CHANNEL = "mendgate_capture"
EVERY, EVERY_DEAF = 1.0, 0.25
"""Seconds between two looks: while notifications wake us, and while they cannot."""
PAUSES = (0.5, 1, 2, 5, 10)
"""Seconds to wait after the first, second, … failure in a row."""


class Watcher:
    """The loop: look, capture, wait until something rings or the next look is due. ``stop`` may be called from a signal handler."""

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
        """LISTEN first, then look: nothing between the two is missed."""
        urls = (settings.MENDGATE.database_url, settings.MENDGATE.target_database_url, settings.MENDGATE.target_database_url)
        with self._connect(urls[0]) as control, self._connect(urls[1]) as target, self._connect(urls[2]) as listening:
            control.execute(f"LISTEN {CHANNEL}")
            ear, detector, due = Ear(listening, target), Detector(target), True
            while not self.stopping:
                logged = ear.monitor.readable
                if due:
                    detector.settle(logged=logged)
                if due or detector.changed(logged=logged):
                    self._capture(detector, target)
                self._say_watching(control)
                due = self._wait(control, ear)

    def _capture(self, detector: Detector, target: psycopg.Connection[Any]) -> None:
        try:
            version = capture("watcher", target)
        except BaseException:
            detector.forget()
            raise
        if version is not None:
            log.info("schema %s", version)

    def _say_watching(self, control: psycopg.Connection[Any]) -> None:
        self._failures = 0
        if control.info.parameter_status("application_name") != WATCHING:
            control.execute(f"SET application_name = '{WATCHING}'")

    def _wait(self, control: psycopg.Connection[Any], ear: Ear) -> bool:
        """Until something rings or the next look is due; whether a capture is wanted now."""
        ear.check()
        select.select([control.fileno(), ear.fileno()], [], [], EVERY if ear.hears else EVERY_DEAF)
        rang = ear.drain()
        return bool(list(control.notifies(timeout=0))) or rang

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
