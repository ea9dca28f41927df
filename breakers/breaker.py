"""A breaker of this process: decides from what it knows, at once.

While it is closed or open, a call costs no lock that could block and no I/O. Only a trial of the shared, half-open breaker asks
Valkey, through the link's thread.
"""

from __future__ import annotations

from asyncio import wait_for, wrap_future
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

from breakers.chance import random
from breakers.core.types import Outcome, Standing, State, View
from breakers.counting import FOREVER, PAUSED
from breakers.following import Following
from breakers.permits import Permit, Trial
from breakers.refusal import Open

PATIENCE = 0.1
"""Seconds that a trial call waits for the shared state's word."""
PAUSE = 0.1
"""Seconds before the shared state is asked again after a refusal."""


class Breaker(Following):
    """Made by ``Registry.get``. ``refused`` counts the calls that it spared, ``rescued`` those of them that a fallback answered."""

    def renew(self) -> None:
        super().renew()
        self._asking = 0
        self._refused_until = 0.0
        self.refused = self.rescued = 0

    def allow(self) -> bool:
        """Whether a call would be let through now. It is only a question: whoever goes ahead takes a permit (``acquire``, ``execute``)."""
        if not self._gate:
            return True
        now = self._clock()
        if now < self._shut_until or now < self._refused_until:
            return False
        return self._machine.held is not State.FORCED_OPEN

    def acquire(self) -> Permit:
        """Leave to make one call. Raises ``Open``."""
        if not self._gate:
            return Permit(self, self._epoch)
        found = self._admit()
        if isinstance(found, Permit):
            return found
        try:
            answer = found.result(PATIENCE)
        except (TimeoutError, CancelledError):
            answer = None if found.cancel() else found.result(PATIENCE)
        return self._taken(answer)

    async def aacquire(self) -> Permit:
        """The same without blocking the loop."""
        if not self._gate:
            return Permit(self, self._epoch)
        found = self._admit()
        if isinstance(found, Permit):
            return found
        answer = None
        with suppress(TimeoutError):
            answer = await wait_for(wrap_future(found), PATIENCE)
        return self._taken(answer)

    def _admit(self) -> Permit | Any:
        """A permit, or the shared state's answer to come. Raises ``Open``."""
        now = self._clock()
        if now < self._shut_until or now < self._refused_until:
            raise self._refusal(now)
        with self._lock:
            machine = self._machine
            if self._inbox:
                self._count(now)
            share = 1.0 if machine.passes(now) else machine.share(now) if machine.state is State.CLOSED and machine.held is None else 0.0
            if machine.wait(now) <= 0.0 and machine.held is not State.FORCED_OPEN and share > 0.0:
                self._reflect(now)
                if share >= 1.0 or random() < share:
                    return Permit(self, machine.epoch)
                raise self._refusal(now)
            if machine.tries(now):
                return self._try(now)
            raise self._refusal(now)

    def _try(self, now: float) -> Any:
        if self._led and self._link.up:
            if self._asking >= self.settings.permits:
                raise self._refusal(now)
            self._asking += 1
            return self._link.ask(self, next(self._tokens))
        token = next(self._tokens)
        granted = self._machine.lease(token, now)
        self._collect(now)
        if not granted:
            raise self._refusal(now)
        return Trial(self, self._machine.epoch, token, None)

    def _taken(self, answer: Permit | None) -> Permit:
        if answer is None:
            raise self._refusal(self._clock())
        return answer

    def answered(self, standing: Standing | None, granted: bool, token: int, wait: float) -> Permit | None:
        """The shared state's word on a trial (None: it could not be reached); called by the link."""
        self._asking = max(0, self._asking - 1)
        now = self._clock()
        if standing is None:
            return None
        self.follow(standing)
        if granted:
            return Trial(self, self._epoch, token, standing.version)
        if standing.state is State.CLOSED and not self._gate:
            return Permit(self, self._epoch)
        self._refused_until = now + min(max(wait, 0.005), PAUSE)
        return None

    def _refusal(self, now: float) -> Open:
        self.refused += 1
        if now < self._shut_until < FOREVER:  # the usual case, and the one that must be cheap
            return Open(self.name, State.OPEN, self._shut_until - now, self._shut_why)
        machine = self._machine
        state = machine.shown(now)
        if state is State.CLOSED:
            return Open(self.name, state, 1.0, "It recovers: only a part of the calls is let through.")
        wait = machine.wait(now)
        if not wait:
            wait = self.settings.timeout if state is State.FORCED_OPEN else max(PAUSE, machine.free_at(now) - now)
        return Open(self.name, state, wait, self._sentence(now, wait))

    def tried(self, trial: Trial, outcome: Outcome, error: str | BaseException | None) -> None:
        """A trial is over. May be called from anywhere, even by the garbage collector: it takes no lock that it would wait for."""
        self._keep(outcome, error)
        if trial.version is not None:
            self._link.settle(self, trial.token, trial.version, outcome)
            return
        self._inbox.append((outcome, trial.token, trial._epoch))
        self._work_off(self._clock())

    def view(self) -> View:
        """How it stands."""
        now = self._clock()
        self.work_off()
        with self._lock:
            machine = self._machine
            mine, standing = machine.window.counts(now), self.standing
            counts = standing.counts if standing is not None and self._link.up and standing.counts.calls > mine.calls else mine
            return View(
                name=self.name,
                state=machine.shown(now),
                version=self.version,
                config_version=machine.settings.version,
                remaining_ms=int(machine.wait(now) * 1000) if machine.held is None else 0,
                trips=machine.trips,
                ramp=machine.share(now),
                calls=counts.calls,
                failures=counts.failures,
                slow=counts.slow,
                rate=counts.rate,
                why=PAUSED if machine.held is None and machine.throttled > max(now, machine.until) else machine.why,
                shared=self._link.up,
                pending=self._link.pending(self),
            )
