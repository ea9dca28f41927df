"""Counts what calls came to, at no cost to them.

Results go into ``_inbox`` (appending is atomic), and whoever gets the lock without waiting works it off (``_work_off``). Attributes
that the hot path reads are a mirror of the machine, renewed after everything that changes it (``_reflect``).
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from itertools import count
from typing import TYPE_CHECKING, Any, cast

from breakers.calling import Calling
from breakers.chance import random
from breakers.core.machine import Machine
from breakers.core.redact import redact
from breakers.core.types import Change, Outcome, Settings, Standing, State
from breakers.refusal import Open
from breakers.tally import Tally

if TYPE_CHECKING:
    from breakers.breaker import Breaker
    from breakers.shared.link import Link

FAILURE, EXCLUDED, OK, SLOW = Outcome.FAILURE, Outcome.EXCLUDED, Outcome.OK, Outcome.SLOW
INBOX = 256
IDLE = 0.05
"""The inbox is worked off when so many results are in it; and not more often than so many seconds where none failed."""
FOREVER = float("inf")
PAUSED: dict[str, Any] = {"rule": "throttle", "sentence": "The service asked for a pause."}


class Counting(Calling):
    """``link`` is the way to the shared state (``breakers.shared.link.Link``); it may be away at any time."""

    def __init__(
        self, name: str, settings: Settings, excluded: tuple[type[BaseException], ...], clock: Callable[[], float], link: Link
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
        self._machine.leases.clear()
        self.tally = Tally()
        self.changes: deque[tuple[float, Change]] = deque(maxlen=20)
        self._reflect(self._clock())
        self._work_at = 0.0

    @property
    def settings(self) -> Settings:
        """The ones in force."""
        return self._machine.settings

    def record(self, outcome: Outcome, seconds: float = 0.0, error: str | BaseException | None = None, count: int = 1) -> None:
        """Results of calls that were made without a permit: they count while it is closed."""
        self.ended(self._epoch, outcome, seconds, error, count)

    def ended(self, epoch: int, outcome: Outcome, seconds: float, error: str | BaseException | None, count: int = 1) -> None:
        """A call that began in ``epoch`` is over."""
        outcome = self.weigh(outcome, seconds)
        if outcome is EXCLUDED or epoch != self._epoch:
            return
        if error is not None:
            self._keep(outcome, error)
        self._inbox.append(outcome if count == 1 else (outcome, count))
        now = self._clock()
        if outcome is not OK or now >= self._work_at or len(self._inbox) > INBOX:
            self._work_off(now)

    def _keep(self, outcome: Outcome, error: str | BaseException | None) -> None:
        """The sample for the next opening's why; as text, since an error would keep a whole stack alive."""
        if error is not None and outcome is FAILURE:
            self._machine.error = error[:2000] if isinstance(error, str) else _said(error)

    def weigh(self, outcome: Outcome, seconds: float) -> Outcome:
        """``SLOW`` for a success that took too long."""
        slow_after = self._slow_after
        return SLOW if slow_after is not None and outcome is OK and seconds >= slow_after else outcome

    def judge(self, error: BaseException) -> Outcome:
        """What an exception says about the service: cancellation and what was named ``excluded`` say nothing."""
        return EXCLUDED if isinstance(error, self._excluded) or not isinstance(error, Exception) else FAILURE

    @property
    def unread(self) -> bool:
        """Whether something waits to be counted."""
        return bool(self._inbox)

    def work_off(self) -> None:
        """Count what waits to be counted."""
        self._work_off(self._clock())

    def _work_off(self, now: float) -> None:
        """Counts what is in the inbox, unless somebody is at it: then they see ours, too."""
        while self._inbox and self._lock.acquire(blocking=False):
            try:
                failed = self._count(now)
            finally:
                self._lock.release()
            self._notify()
            self._link.news(failed, tripped=bool(self.changes))

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
                    machine.settle(entry[1], entry[0], now, random())
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
        machine.record(outcome, number, now, random())

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
        wait = machine.wait(now)
        self._shut_until = FOREVER if held is State.FORCED_OPEN else 0.0 if held is not None else now + wait
        self._shut_why = self._sentence(now, wait)

    def _sentence(self, now: float, wait: float) -> str:
        """Why it lets nothing through for so long."""
        machine = self._machine
        why = PAUSED if machine.throttled - now >= wait else machine.why or {}
        return str(why.get("sentence", ""))

    def _after(self, now: float) -> None:
        """After holding the lock: whoever found it taken left their results to us."""
        self._notify()
        self._work_off(now)

    def _notify(self) -> None:
        """Tell listeners, once for each new state; never while holding the lock."""
        shown = self._machine.shown(self._clock())
        if shown is not self._shown:
            self._shown = shown
            self._link.changed(cast("Breaker", self))

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


def _said(error: BaseException) -> str:
    """An error's kind and message."""
    try:
        return f"{type(error).__name__}: {error}"[:2000]
    except Exception:  # somebody's __str__
        return type(error).__name__
