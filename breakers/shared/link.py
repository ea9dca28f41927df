"""The way to the shared state: one thread a process talks to Valkey, so that calls never do.

It reports what was counted (at most every 10 ms when that could trip, every 100 ms after failures, else every 250 ms), carries trials'
leases and renews them every second while a trial is under way, listens for hints, looks itself every two seconds in case one was lost,
and tells every breaker how the shared one stands. What could not be sent is not sent again: a report may have arrived, though its answer
did not.
"""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from secrets import token_hex
from typing import TYPE_CHECKING

from breakers.chance import random
from breakers.core.types import Outcome, Settings, State
from breakers.permits import Permit
from breakers.shared.bell import Bell
from breakers.shared.errands import Errand, Errands
from breakers.shared.health import Health
from breakers.shared.keys import Names, checked
from breakers.shared.leases import RENEW
from breakers.shared.wire import Lost, Wire

if TYPE_CHECKING:
    from breakers.breaker import Breaker

log = logging.getLogger(__name__)
REPORT, AFTER_FAILURE, CLOSE_TO_TRIP, LOOK = 0.25, 0.1, 0.01, 2.0
LOOK_WATCHED, WATCHED = 0.8, 10.0
BATCH = 200
_SLICE = 0.05


class Link:
    """``changed`` is called with a breaker whose state changed. Everything here may be called from any thread, and returns at once."""

    def __init__(self, breakers: dict[str, Breaker], changed: Callable[[Breaker], None], clock: Callable[[], float]) -> None:
        self._breakers, self.changed, self._clock = breakers, changed, clock
        self.watchers: list[Callable[[bool, str], None]] = []
        self._url = ""
        self._names = Names("")
        self._source = ""
        self.renew()

    def forked(self) -> None:
        """In the child: its copies of the parent's sockets are of no use."""
        for copy in (self._bell, self._wire):
            if copy is not None:
                copy.close()
        self.renew()

    def renew(self) -> None:
        """What a process must have of its own."""
        self._thread: threading.Thread | None = None
        self._starting = threading.RLock()
        self._health = Health(self._clock())
        self._wire: Wire | None = None
        self._ended = self._failed = self._told = False
        self._flushes: deque[threading.Event] = deque()
        self._bell: Bell | None = None
        self._errands = Errands(self._breakers, self._names, self._source, self._clock)
        self._urgent_at = self._report_at = self._look_at = self._renew_at = self._watched_until = 0.0

    @property
    def up(self) -> bool:
        """Whether the shared state is reached."""
        return self._health.up

    # What others hand in

    def connect(self, url: str, namespace: str, source: str | None) -> None:
        """Where the shared state is. Once for a process and its forks."""
        if self._url:
            raise ValueError("The registry is connected already.")
        self._names = checked(namespace)
        self._source = source or f"{socket.gethostname()}-{os.getpid()}-{token_hex(3)}"
        self._url = url
        self._errands = Errands(self._breakers, self._names, self._source, self._clock)
        if self._breakers:
            self._ring()

    def joined(self, breaker: Breaker) -> None:
        """There is a new breaker: ask how it stands."""
        self._errands.look(breaker)
        self._ring()

    def news(self, failed: bool, *, tripped: bool = False) -> None:
        """Something was counted. ``tripped``: the breaker opened here, which the others should hear at once."""
        if tripped and failed:
            self._failed, self._urgent_at = True, 0.0
            self._ring()
        elif failed and not self._failed:
            self._failed = True
            if self._clock() >= self._urgent_at:
                self._ring()
        elif self._thread is None:
            self._ring()

    def ask(self, breaker: Breaker, token: int) -> Future[Permit | None]:
        """A trial's lease."""
        future: Future[Permit | None] = Future()
        self._errands.ask(breaker, token, future)
        self._ring()
        return future

    def settle(self, breaker: Breaker, token: int, version: int, outcome: Outcome) -> None:
        """A trial's end."""
        self._errands.settle(breaker, token, version, outcome)
        self._ring()

    def throttle(self, breaker: Breaker, seconds: float) -> None:
        """The service asked for a pause."""
        if self._url:
            self._errands.throttle(breaker, self._clock() + seconds)
            self._ring()

    def publish(self, breaker: Breaker, settings: Settings, override: State | None, reason: str) -> None:
        """A stored configuration."""
        news = settings.version > breaker.settings.version or not settings.version
        if news:
            breaker.configure(settings)
            breaker.decree(override, reason)
        if self._url and settings.version:
            self._errands.publish(breaker, settings, override if news else breaker.held, reason)
            self._ring()

    def pending(self, breaker: Breaker) -> bool:
        """Whether a stored configuration of it has not reached Valkey yet."""
        return self._errands.pending(breaker)

    def watch(self) -> None:
        """Somebody looks at all breakers: look more often for a while."""
        now = self._clock()
        if self._url and now >= self._watched_until:
            self._look_at = 0.0
            self._ring()
        self._watched_until = now + WATCHED

    def flush(self, timeout: float) -> bool:
        """Whether all that was counted went out in time."""
        if not self._url or (self._thread is None and self._errands.empty()):
            return True
        done = threading.Event()
        self._flushes.append(done)
        self._ring()
        ends = self._clock() + timeout
        while not done.wait(min(_SLICE, max(0.0, ends - self._clock()))):
            if self._health.given_up or self._clock() >= ends:
                return False
        return True

    def close(self) -> None:
        """Report what was counted, and end."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            self.flush(0.5 if self.up else 0.0)
            self._ended = True
            self._ring()
            thread.join(1.0)
        self._url = ""
        self.renew()

    def _ring(self) -> None:
        """Wake the thread; start it where there is none (yet, or after a fork)."""
        if self._url and self._thread is None:
            with self._starting:
                if self._thread is None:
                    self._bell = Bell()
                    self._thread = threading.Thread(target=self._run, args=[self._bell], name="breakers", daemon=True)
                    self._thread.start()
        if self._bell is not None:
            self._bell.ring()

    # The thread

    def _run(self, bell: Bell) -> None:
        while not self._ended:
            try:
                self._wait(bell)
                if self._wire is None:
                    self._connect()
                if self._wire is not None:
                    self._round(self._wire)
            except Lost as lost:
                self._lose(str(lost))
            except Exception as error:
                log.error("breakers: a fault of the link", exc_info=None if self._health.given_up else error)
                self._lose(f"a fault of the link: {type(error).__name__}")
            if not self.up:
                self._errands.give_up()
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        bell.close()

    def _wait(self, bell: Bell) -> None:
        now = self._clock()
        if self._wire is None:
            bell.wait([], self._health.due(now))
            return
        due = min(self._report_at, self._look_at, self._urgent_at if self._urgent_at > now else now + LOOK) - now
        if bell.wait([self._wire], due):
            self._errands.hinted(self._wire.heard())

    def _connect(self) -> None:
        now = self._clock()
        if self._health.due(now) > 0.0:
            return
        self._health.trying(now)
        self._wire = Wire(self._url, self._names.channel)
        self._errands.rejoin()

    def _round(self, wire: Wire) -> None:
        """One round: what waits is sent, and what is due."""
        now = self._clock()
        flushes = [self._flushes.popleft() for _ in range(len(self._flushes))]
        due = now >= self._report_at or bool(flushes) or (self._failed and now >= self._urgent_at)
        if due:
            failed, self._failed = self._failed, False
            self._errands.report()
            self._report_at = now + REPORT
        if now >= self._look_at:
            watched = now < self._watched_until
            self._errands.look_around(counts=watched)
            wire.prove()
            self._look_at = now + (LOOK_WATCHED if watched else LOOK) * (0.8 + 0.4 * random())
        if now >= self._renew_at:
            self._errands.renew()
            self._renew_at = now + RENEW
        while errands := self._errands.take(BATCH):
            self._send(wire, errands)
        if due and failed:
            self._urgent_at = now + (CLOSE_TO_TRIP if self._errands.close_to_trip else AFTER_FAILURE)
        for flush in flushes:
            flush.set()

    def _send(self, wire: Wire, errands: list[Errand]) -> None:
        done = 0
        try:
            for errand, answer in zip(errands, wire.exchange([errand.command for errand in errands]), strict=True):
                if isinstance(answer, Exception):
                    self._errands.refused(errand, answer)
                else:
                    errand.answered(answer)
                done += 1
        except Exception:  # whatever it is, nobody waits for an answer that does not come
            for errand in errands[done:]:
                errand.lost()
            raise
        if self._health.succeeded(self._clock()):
            log.log(logging.WARNING if self._told else logging.INFO, "breakers: Valkey is reached; states are shared.")
            self._alert(True, "")

    def _lose(self, why: str) -> None:
        if self._wire is not None:
            self._wire.close()
            self._wire = None
        if self._health.failed(self._clock()):
            self._told = True
            log.error("breakers: Valkey is away (%s). Each process counts alone until it is back.", why)
            self._alert(False, why)

    def _alert(self, up: bool, why: str) -> None:
        for watcher in self.watchers:
            try:
                watcher(up, why)
            except Exception:
                log.exception("breakers: a watcher of the link failed")
