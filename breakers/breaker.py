"""A breaker of this process: decides from what it knows, at once.

While it is closed or open, a call costs no lock that could block and no I/O: results go into ``_inbox`` (appending is atomic), and
whoever gets the lock without waiting works it off (``_work_off``). Attributes that the hot path reads are a mirror of the machine,
renewed after everything that changes it (``_reflect``).
"""

from __future__ import annotations

import threading
from asyncio import wait_for, wrap_future
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from contextlib import suppress
from itertools import count
from random import random
from typing import Any

from breakers.calling import Calling
from breakers.core.machine import Machine
from breakers.core.redact import redact
from breakers.core.types import Change, Outcome, Settings, Standing, State, View
from breakers.permits import Permit, Trial
from breakers.refusal import Open
from breakers.shared.scripts import Claim
from breakers.tally import Tally

FAILURE, EXCLUDED, OK, SLOW = Outcome.FAILURE, Outcome.EXCLUDED, Outcome.OK, Outcome.SLOW
PATIENCE = 0.1
"""Seconds that a trial call waits for the shared state's word."""
PAUSE = 0.1
"""Seconds before the shared state is asked again after a refusal."""
INBOX = 256
IDLE = 0.05
"""The inbox is worked off when so many results are in it; and not more often than so many seconds where none failed."""
FOREVER = float("inf")
PAUSED = {"rule": "throttle", "sentence": "The service asked for a pause."}
Outside = Any


class Breaker(Calling):
    """Made by ``Registry.get``. ``link`` is the way to the shared state; it may be away at any time."""

    def __init__(
        self, name: str, settings: Settings, excluded: tuple[type[BaseException], ...], clock: Callable[[], float], link: Outside
    ) -> None:
        self.name, self.declared = name, settings
        self._excluded = (Open, CancelledError, *excluded)
        self._clock, self._link = clock, link
        now = clock()
        self._machine = Machine(settings, now)
        self._tokens = count(1)
        self._shown = self._machine.shown(now)
        self.version = 0
        """of the shared state, as it was heard last; 0 = never."""
        self.disputed = False
        self.standing: Standing | None = None
        self.heard_throttle = b"0"
        self._led = False
        self.renew()

    def renew(self) -> None:
        """What a process of its own must have of its own; again after a fork."""
        self.life = object()
        self._lock = threading.Lock()
        self._inbox: deque[Any] = deque()
        self._asking = 0
        self._refused_until = 0.0
        self._machine.leases.clear()
        self.tally = Tally()
        self.changes: deque[tuple[float, Change]] = deque(maxlen=20)
        self._reflect(self._clock())
        self._work_at = 0.0

    # The hot path

    @property
    def settings(self) -> Settings:
        """The ones in force."""
        return self._machine.settings

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

    def record(self, outcome: Outcome, seconds: float = 0.0, error: str | BaseException | None = None, count: int = 1) -> None:
        """Results of calls that were made without a permit: they count while it is closed."""
        self.ended(self._epoch, outcome, seconds, error, count)

    def ended(self, epoch: int, outcome: Outcome, seconds: float, error: str | BaseException | None, count: int = 1) -> None:
        """A call that began in ``epoch`` is over."""
        outcome = self.weigh(outcome, seconds)
        if outcome is EXCLUDED or epoch != self._epoch:
            return
        if error is not None and outcome is FAILURE:
            self._machine.error = error if isinstance(error, str) else _said(error)
        self._inbox.append(outcome if count == 1 else (outcome, count))
        now = self._clock()
        if outcome is not OK or now >= self._work_at or len(self._inbox) > INBOX:
            self._work_off(now)

    def weigh(self, outcome: Outcome, seconds: float) -> Outcome:
        """``SLOW`` for a success that took too long."""
        slow_after = self._slow_after
        return SLOW if slow_after is not None and outcome is OK and seconds >= slow_after else outcome

    def judge(self, error: BaseException) -> Outcome:
        """What an exception says about the service: cancellation and what was named ``excluded`` say nothing."""
        return EXCLUDED if isinstance(error, self._excluded) or not isinstance(error, Exception) else FAILURE

    # Trials

    def tried(self, trial: Trial, outcome: Outcome, error: str | BaseException | None) -> None:
        """A trial is over. May be called from anywhere, even by the garbage collector: it takes no lock that it would wait for."""
        if error is not None and outcome is FAILURE:
            self._machine.error = error if isinstance(error, str) else _said(error)
        if trial.version is not None:
            self._link.settle(self, trial.token, trial.version, outcome)
            return
        self._inbox.append((outcome, trial.token, trial._epoch))
        self._work_off(self._clock())

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
                if share >= 1.0 or random() < share:  # noqa: S311 - no secret
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
        machine = self._machine
        state = machine.shown(now)
        if state is State.CLOSED:
            return Open(self.name, state, 1.0, "It recovers: only a part of the calls is let through.")
        wait = machine.wait(now)
        if not wait:
            wait = self.settings.timeout if state is State.FORCED_OPEN else max(PAUSE, machine.free_at(now) - now)
        why = PAUSED if machine.throttled - now >= wait else machine.why or {}
        return Open(self.name, state, wait, why.get("sentence", ""))

    # Off the hot path

    def _work_off(self, now: float) -> None:
        """Counts what is in the inbox, unless somebody is at it: then they see ours, too."""
        while self._inbox and self._lock.acquire(blocking=False):
            try:
                failed = self._count(now)
            finally:
                self._lock.release()
            self._notify()
            self._link.news(failed)

    def _count(self, now: float) -> bool:
        machine, inbox, failed = self._machine, self._inbox, False
        epoch, good = machine.epoch, 0
        for _ in range(len(inbox)):
            entry = inbox.popleft()
            if entry is OK:
                good += 1
                continue
            if good:
                self._add(OK, good, now)
                good = 0
            if entry.__class__ is tuple and len(entry) == 3:
                if entry[2] == machine.epoch:
                    machine.settle(entry[1], entry[0], now, random())  # noqa: S311
            else:
                outcome, number = entry if entry.__class__ is tuple else (entry, 1)
                failed = failed or outcome is not OK
                self._add(outcome, number, now)
            if machine.epoch != epoch:  # what else is in there belongs to an earlier state
                inbox.clear()
                break
        if good:
            self._add(OK, good, now)
        self._collect(now)
        return failed

    def _add(self, outcome: Outcome, number: int, now: float) -> None:
        machine = self._machine
        if machine.state is State.CLOSED or machine.held is State.SHADOW:
            self.tally.add(outcome, number)
        machine.record(outcome, number, now, random())  # noqa: S311

    def _collect(self, now: float) -> None:
        """After something was done with the machine: its changes go to whoever wants them."""
        if self._machine.changes:
            self._led = False
            self.changes.extend((now, change) for change in self._machine.changes)
            self._machine.changes.clear()
        self._reflect(now)

    def _reflect(self, now: float) -> None:
        machine = self._machine
        self._epoch = machine.epoch
        self._slow_after = machine.settings.slow_after
        self._work_at = max(machine.window.ends, now + IDLE)
        self._gate = not machine.passes(now)
        held = machine.held
        self._shut_until = FOREVER if held is State.FORCED_OPEN else 0.0 if held is not None else now + machine.wait(now)

    def _after(self, now: float) -> None:
        """After holding the lock: whoever found it taken left their results to us."""
        self._notify()
        self._work_off(now)

    def _notify(self) -> None:
        """Tell listeners, once for each new state; never while holding the lock."""
        shown = self._machine.shown(self._clock())
        if shown is not self._shown:
            self._shown = shown
            self._link.changed(self)

    # What others decide

    def follow(self, standing: Standing) -> None:
        """The shared state was heard."""
        now = self._clock()
        with self._lock:
            machine = self._machine
            concerns = self._concerns(standing)
            self.standing, self.version = standing, standing.version
            if concerns:
                machine.adopt(standing, now)
                self._led = standing.state is not State.CLOSED
                self._refused_until = 0.0
                self.tally = Tally()
            if standing.throttled:
                machine.throttle(standing.throttled, now)
            self._reflect(now)
        self._after(now)

    def _concerns(self, standing: Standing) -> bool:
        """Whether the shared state goes before ours: always when it is not closed. A breaker that opened for this process alone runs its
        course, unless a person closed it."""
        news = standing.version != self.version
        if standing.state is not State.CLOSED:
            return news or not self._led
        alone = not self._led and (self.version == 0 or self._machine.state is not State.CLOSED)
        return news and (not alone or (standing.why or {}).get("rule") == "person")

    @property
    def held(self) -> State | None:
        """What a person holds it in."""
        return self._machine.override

    def claim(self) -> Claim:
        """What this process would tell a server that forgot the breaker."""
        standing, machine = self.standing, self._machine
        if standing is None or standing.state is State.CLOSED or machine.state is State.CLOSED:
            return Claim(trips=machine.trips)
        return Claim(machine.state, int(1000 * max(0.0, machine.until - self._clock())), machine.trips, machine.why)

    def take(self) -> tuple[Tally, list[tuple[float, Change]]]:
        """What was counted and what changed here since the last report: now somebody else's."""
        with self._lock:
            tally, self.tally = self.tally, Tally()
            changes = list(self.changes)
            self.changes.clear()
        return tally, changes

    def sample(self) -> str:
        """The last error, redacted."""
        return redact(self._machine.error or "")

    @property
    def unread(self) -> bool:
        """Whether something waits to be counted."""
        return bool(self._inbox)

    def work_off(self) -> None:
        """Count what waits to be counted."""
        self._work_off(self._clock())

    def configure(self, settings: Settings) -> None:
        """Other settings from now on; nothing counted is lost."""
        now = self._clock()
        with self._lock:
            self._machine.configure(settings, now)
            self._reflect(now)
        self._after(now)

    def decree(self, override: State | None, reason: str) -> None:
        """A person's word, for this process."""
        now = self._clock()
        with self._lock:
            self._machine.decree(override, reason, now)
            self._machine.changes.clear()
            self._inbox.clear()
            self.tally = Tally()
            self._led = self._led and self._machine.state is not State.CLOSED
            self._reflect(now)
        self._after(now)

    def throttle(self, seconds: float) -> None:
        """Let nothing through for so long."""
        now = self._clock()
        with self._lock:
            self._machine.throttle(seconds, now)
            self._reflect(now)
        self._after(now)

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


def _said(error: BaseException) -> str:
    """An error's kind and message (not the error: it would keep a whole stack alive)."""
    try:
        return f"{type(error).__name__}: {error}"[:2000]
    except Exception:  # somebody's __str__
        return type(error).__name__
