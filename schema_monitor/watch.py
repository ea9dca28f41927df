"""Notices that the target's schema may have changed, and captures then.

Best first: the DDL log's notification wakes us when a change commits (``ear``). Below it, polled (``detect``): the log's tail,
counters of catalog writes, and the fingerprint of the catalog. What commits during a capture rings again or is seen by the next
look: nothing is dropped. Notifications that pile up meanwhile are one capture.

One watcher is in charge (``lease``); another one waits to take over. A connection that does not answer is given up within seconds
(``patience``): everything is connected again, and the first look sees what was missed.
"""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import psycopg
from django.conf import settings
from django.db import connection, transaction

from schema_monitor import lease
from schema_monitor.capture import capture
from schema_monitor.core.detectors import Facts, judge
from schema_monitor.detect import PATIENCE, Detector, Found, Sight
from schema_monitor.ear import Ear
from schema_monitor.patience import within
from schema_monitor.versions import Memory
from schema_monitor.watch_name import WATCHING
from schema_monitor.watch_state import Journal, say_away

log = logging.getLogger(__name__)
CHANNEL = "mendgate_capture"
EVERY, EVERY_DEAF = 1.0, 0.5
"""Seconds between two looks: while notifications wake us, and while they cannot."""
SLOWEST, FASTEST = 5.0, 0.25
"""What may be set in place of these (``watch_seconds``, the optimizer's row)."""
ASK_EVERY = 30.0
_PACE = "SELECT value FROM optimizer_setting WHERE name = 'watch_seconds' AND place = '' AND value IS NOT NULL"
PAUSES = (0.5, 1, 2, 5, 10)
"""Seconds to wait after the first, second, … failure in a row."""
PATIENCE_READING = 120.0
"""Seconds that a capture may take before the connections are given up."""


class Watcher:
    """The loop: look, capture, wait until something rings or the next look is due. ``stop`` may be called from a signal handler.
    ``beat`` is called in every round, also while it waits for a database or for its turn."""

    def __init__(self, beat: Callable[[], None] = lambda: None) -> None:
        self.stopping = False
        self._beat = beat
        self._failures = 0
        self._memory = Memory()
        self._former: list[lease.Session] = []

    def stop(self, *_signal: object) -> None:
        """Ends the loop within a second."""
        self.stopping = True

    def run(self) -> None:
        """Until ``stop``. Lost connections are made again, with growing pauses."""
        while not self.stopping:
            try:
                self._watch()
            except lease.Superseded:
                log.warning("schema watcher: another watcher is in charge; waiting to take over.")
            except (psycopg.Error, OSError) as error:
                self._recover(error)
            except Exception as error:  # whatever it is, tomorrow's changes must still be seen
                log.exception("schema watcher: unexpected fault")
                self._recover(error)

    def _watch(self) -> None:
        """LISTEN first, then look: nothing between the two is missed."""
        with self._connect(settings.MENDGATE.database_url) as control, ExitStack() as stack:
            pooled = lease.behind_pooler(control)
            if not pooled:
                control.execute(f"LISTEN {CHANNEL}")
            lock = stack.enter_context(self._connect(settings.MENDGATE.database_url)) if pooled else None
            token = self._charge(control, lock)
            if token is None:
                return
            self._former = [] if pooled else lease.sessions(control)
            url, patience = settings.MENDGATE.target_database_url, PATIENCE * (1 + self._failures)
            with self._connect(url) as target, self._connect(url) as listening:
                with within(patience, target, listening):
                    ear = Ear(listening, target)
                self._loop(Round(self._memory, control, target, ear, token, patience))

    def _charge(self, control: psycopg.Connection[Any], lock: psycopg.Connection[Any] | None) -> int | None:
        """The right to write; None when stopped before it came."""
        former, self._former = self._former, []
        lease.end(control, former)
        while not self.stopping:
            self._beat()
            if (token := lease.take(control, lock)) is not None:
                return token
            time.sleep(EVERY)
        return None

    def _loop(self, watch: Round) -> None:
        while not self.stopping:
            self._beat()
            watch.look()
            self._failures = 0
            watch.wait()

    def _connect(self, url: str) -> psycopg.Connection[Any]:
        return psycopg.connect(
            url,
            autocommit=True,
            connect_timeout=5,
            application_name="mendgate watcher",
            keepalives_idle=30,
            tcp_user_timeout=30_000,
            prepare_threshold=None,
        )

    def _recover(self, error: Exception) -> None:
        pause = PAUSES[min(self._failures, len(PAUSES) - 1)]
        self._failures += 1
        self._beat()
        log.warning("schema watcher: %s Trying again in %s s.", str(error).strip(), pause)
        connection.close()  # Django's own connection to the control database may be the broken one
        if self._failures > 1:
            say_away(f"The target or the control database does not answer: {str(error).strip()}")
        until = time.monotonic() + pause
        while not self.stopping and time.monotonic() < until:
            time.sleep(0.1)


class Round:
    """One life of the watcher's connections: what it does in charge, again and again."""

    def __init__(
        self, memory: Memory, control: psycopg.Connection[Any], target: psycopg.Connection[Any], ear: Ear, token: int, patience: float
    ) -> None:
        self._memory, self._control, self._target, self._ear, self._token = memory, control, target, ear, token
        self._detector, self._journal = Detector(target, patience=patience), Journal(control)
        self._patience, self._every = patience, EVERY_DEAF
        self._rang = self._asked = False
        self._pace, self._asks_at = EVERY, 0.0

    def look(self) -> None:
        """Looks, captures where something changed, and tells how it watches."""
        logged, before = self._ear.monitor.readable, self._detector.sight
        wanted = self._rang or self._asked
        found = self._detector.rang(logged=logged, by_log=self._rang) if wanted else self._detector.look(logged=logged)
        sight = self._detector.sight
        if before is not None and sight is not None:
            with within(self._patience, self._target):
                self._judge_log(before, sight)
        changed = found is not Found.NOTHING and self._capture(whole=found is Found.CHANGED or self._detector.small)
        with within(self._patience, self._control):
            self._say(changed)

    def wait(self) -> None:
        """Until something rings or the next look is due."""
        with within(self._patience, self._target):
            self._ear.check()
        select.select([self._control.fileno(), self._ear.fileno()], [], [], self._every)
        self._rang = self._ear.drain()
        self._asked = bool(list(self._control.notifies(timeout=0)))

    def _judge_log(self, before: Sight, now: Sight) -> None:
        if now.otherwise(before):
            self._ear.look()
        elif now.tail != before.tail:
            self._ear.alive = True
        elif self._detector.missed:
            self._ear.prove()

    def _paced(self) -> float:
        """What is set, asked for now and then."""
        if (now := time.monotonic()) >= self._asks_at:
            self._pace, self._asks_at = pace_of(self._control), now + ASK_EVERY
        return self._pace

    def _capture(self, *, whole: bool) -> bool:
        began = time.monotonic()
        try:
            with within(PATIENCE_READING, self._target, *_of_django()):
                version = capture("watcher", self._target, memory=self._memory, token=self._token, whole=whole)
        except BaseException:
            self._detector.forget()
            raise
        self._detector.captured(time.monotonic() - began, whole=whole)
        if version is not None:
            log.info("schema %s", version)
        return version is not None

    def _say(self, changed: bool) -> None:
        if self._control.info.parameter_status("application_name") != WATCHING:
            self._control.execute(f"SET application_name = '{WATCHING}'")
        ear, detector, sight = self._ear, self._detector, self._detector.sight
        known = self._memory.last
        hears = ear.hears
        self._target.prepare_threshold = 5 if ear.heard else None  # poolers lose prepared statements
        self._every = self._paced() * (1.0 if hears else EVERY_DEAF / EVERY)
        facts = Facts(
            monitor=known[1].monitor if known else "",
            readable=ear.monitor.readable,
            alive=ear.alive and (sight is None or sight.tail is not None),
            notifies=ear.monitor.notifies,
            hears=hears,
            pooled=ear.pooled,
            standby=sight is not None and sight.standby,
            counts=sight is None or sight.counts,
            removed=not ear.monitor.readable and self._journal.removed(),
            every=self._every,
            interval=detector.interval,
            moved=detector.interval_moved,
        )
        horizon = known[1].horizon if known else 0
        self._journal.say(judge(facts), monitor=facts.monitor, heard_at=ear.heard_at, horizon=horizon, changed=changed)


def pace_of(control: psycopg.Connection[Any]) -> float:
    """Seconds between two looks while notifications wake us, as they are set; ours where nothing sound is."""
    try:
        row = control.execute(_PACE).fetchone()
    except psycopg.errors.UndefinedTable:
        return EVERY
    value = row[0] if row else None
    if not isinstance(value, int | float) or isinstance(value, bool):
        return EVERY
    return min(max(float(value), FASTEST), SLOWEST)


def _of_django() -> list[psycopg.Connection[Any]]:
    connection.ensure_connection()
    return [connection.connection]


def ask() -> None:
    """Asks the watcher, wherever it runs, to capture now."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, '')", [CHANNEL])
