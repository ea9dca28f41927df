"""What waits to be sent to Valkey, and what to do with each answer. Handed in by any thread; taken by the link's own."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from functools import partial
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import msgspec

from breakers.chance import random
from breakers.core.types import Change, Outcome, Settings, Standing, State
from breakers.permits import Permit
from breakers.shared import scripts
from breakers.shared.keys import Names
from breakers.shared.leases import Leases, first
from breakers.shared.scripts import Asker, Command

if TYPE_CHECKING:
    from breakers.breaker import Breaker

log = logging.getLogger(__name__)
LOGGED = 10_000
MEND_EVERY = 1.0
"""Seconds between two attempts to make a breaker's keys anew."""


def nothing(*_: Any) -> None:
    """Where there is nothing to do."""


class Errand(msgspec.Struct):
    """A command, what to do with its answer, and what to do where it is lost."""

    command: Command
    answered: Callable[[Any], None] = nothing
    lost: Callable[[], None] = nothing
    about: Breaker | None = None
    waits: bool = True
    """whether somebody, or something, waits for the word that it was lost."""


class Published(msgspec.Struct, frozen=True):
    """A configuration as Postgres has it. It goes to Valkey again where that has an older one."""

    settings: Settings
    override: State | None
    reason: str


class Errands:
    """``close_to_trip``: whether the counts heard last come close to a limit, so that each failure is worth a report."""

    def __init__(self, breakers: dict[str, Breaker], names: Names, source: str, clock: Callable[[], float]) -> None:
        self._breakers, self._names, self._source, self._clock = breakers, names, source, clock
        self._life = token_hex(4)
        self._waiting: deque[Errand] = deque()
        self._asks: deque[tuple[Breaker, int, Future[Permit | None]]] = deque()
        self._settles: deque[tuple[Breaker, int, int, Outcome]] = deque(maxlen=10_000)
        self._leases = Leases()
        self._looks: set[Breaker] = set()
        self._throttles: dict[Breaker, float] = {}
        self._publish: dict[Breaker, Published] = {}
        self._published: dict[Breaker, Published] = {}
        self._mended: dict[Breaker, float] = {}
        self.close_to_trip = False

    # Handed in

    def ask(self, breaker: Breaker, token: int, future: Future[Permit | None]) -> None:
        """A trial's lease."""
        self._asks.append((breaker, token, future))

    def settle(self, breaker: Breaker, token: int, version: int, outcome: Outcome) -> None:
        """A trial's end."""
        self._leases.drop(breaker, token)  # first: what is renewed from now on is without it
        self._settles.append((breaker, token, version, outcome))

    def look(self, breaker: Breaker) -> None:
        """How does it stand?"""
        self._looks.add(breaker)

    def hinted(self, names: Iterable[str]) -> None:
        """Something happened to these."""
        self._looks.update(self._breakers[name] for name in names if name in self._breakers)

    def throttle(self, breaker: Breaker, deadline: float) -> None:
        """Lets nothing through until then."""
        self._throttles[breaker] = max(deadline, self._throttles.get(breaker, 0.0))

    def publish(self, breaker: Breaker, settings: Settings, override: State | None, reason: str) -> None:
        """The newest one replaces any that waits: what was withdrawn meanwhile never goes out."""
        self._publish[breaker] = Published(settings, override, reason)

    def pending(self, breaker: Breaker) -> bool:
        """Whether a configuration is not where it should be yet."""
        published, standing = self._published.get(breaker), breaker.standing
        return breaker in self._publish or (
            published is not None and (standing is None or standing.config_version < published.settings.version)
        )

    def rejoin(self) -> None:
        """After connecting: say what is known of every breaker, and which trials are still under way."""
        self._drop()
        self.renew(lost=True)
        for breaker, published in list(self._published.items()):
            self._publish.setdefault(breaker, published)
        self._looks.update(self._breakers.copy().values())
        self._waiting.append(Errand(("PING",)))

    def renew(self, *, lost: bool = False) -> None:
        """The trials under way keep their leases; where there is none, nothing is sent. ``lost``: what was sent last may have been."""
        for breaker, tokens in self._leases.renewed(self._clock(), lost=lost).items():
            granted = (word for token, ms in tokens for word in (self._token(breaker, token), ms))
            command = scripts.command("renew", self._asker(breaker), breaker.version, *granted)
            self._waiting.append(Errand(command, partial(self._stands, breaker), about=breaker))

    def report(self) -> None:
        """What was counted and not reported yet."""
        self.close_to_trip = False
        for breaker in self._breakers.copy().values():
            breaker.work_off()
            if breaker.tally or breaker.changes:
                self._looks.add(breaker)

    def look_around(self, *, counts: bool) -> None:
        """Repairs what hints have missed; ``counts``: reads those, too, of which there are no hints."""
        for breaker in self._breakers.copy().values():
            if counts:
                self._looks.add(breaker)
                continue
            state, config = scripts.glance(self._names, breaker.name)
            self._waiting.append(Errand(state, partial(self._glanced, breaker), about=breaker))
            self._waiting.append(Errand(config, partial(self._glanced_config, breaker), about=breaker))

    def refused(self, errand: Errand, error: Exception) -> None:
        """What Valkey holds of one breaker cannot be worked with, whoever put it there: it is made anew from what processes know. That
        is tried once in a while; meanwhile this breaker goes on alone, and the others as ever."""
        breaker, now = errand.about, self._clock()
        if breaker is not None and now - self._mended.get(breaker, -MEND_EVERY) >= MEND_EVERY:
            self._mended[breaker] = now
            log.error("breaker %r: what Valkey holds of it cannot be read (%s); it is made anew.", breaker.name, str(error)[:200])
            self._waiting.append(Errand(scripts.mend(self._names, breaker.name), partial(self._anew, breaker)))
            errand.lost()
        elif errand.waits:
            errand.lost()

    def _anew(self, breaker: Breaker, _: int) -> None:
        self._looks.add(breaker)
        if (published := self._published.get(breaker)) is not None:
            self._publish.setdefault(breaker, published)

    def empty(self) -> bool:
        """Whether there is nothing that Valkey should know."""
        waiting = self._settles or self._throttles or self._publish
        return not waiting and not any(each.tally or each.changes or each.unread for each in self._breakers.copy().values())

    # Taken

    def take(self, most: int) -> list[Errand]:
        """What to send now, at most so many; configurations first, so that no answer is older than them."""
        for queue in (self._publishing, self._throttling, self._settling, self._asking, self._looking):
            while len(self._waiting) < most and (errand := queue()) is not None:
                self._waiting.append(errand)
        return [self._waiting.popleft() for _ in range(min(most, len(self._waiting)))]

    def give_up(self) -> None:
        """Valkey is away: nobody should wait for it. What trials came to is told later: else their leases keep others waiting."""
        self._drop()
        while self._asks:
            breaker, token, future = self._asks.popleft()
            self._resolve(breaker, future, None, False, token, 0.0)

    def _drop(self) -> None:
        while self._waiting:
            self._waiting.popleft().lost()

    def _publishing(self) -> Errand | None:
        if not self._publish:
            return None
        breaker = next(iter(self._publish.copy()))
        self._published[breaker] = self._publish[breaker]  # before it leaves the queue: it is pending all the time
        published = self._published[breaker] = self._publish.pop(breaker)
        arguments = published.settings.version, published.override or "", published.reason
        asker = self._asker(breaker, published.settings)
        return Errand(scripts.command("configure", asker, *arguments), partial(self._confirmed, breaker, published), about=breaker)

    def _confirmed(self, breaker: Breaker, published: Published, answer: list[Any]) -> None:
        standing = scripts.standing(answer)
        if published.override is State.CLOSED:  # once is enough
            self._published[breaker] = msgspec.structs.replace(published, override=None)
        self._heard(breaker, standing)

    def _throttling(self) -> Errand | None:
        if not self._throttles:
            return None
        breaker, deadline = self._throttles.popitem()
        ms = int(1000 * (deadline - self._clock()))
        command = scripts.command("throttle", self._asker(breaker), max(ms, 0))
        return Errand(command, partial(self._stands, breaker), partial(self.throttle, breaker, deadline), breaker, waits=False)

    def _settling(self) -> Errand | None:
        if not self._settles:
            return None
        breaker, token, version, outcome = self._settles.popleft()
        sample = breaker.sample() if outcome is Outcome.FAILURE else ""
        command = scripts.command("settle", self._asker(breaker), self._token(breaker, token), version, outcome, sample)
        again = partial(self.settle, breaker, token, version, outcome)  # it may have arrived: then the second says nothing
        return Errand(command, partial(self._stands, breaker), again, breaker, waits=False)

    def _asking(self) -> Errand | None:
        if not self._asks:
            return None
        breaker, token, future = self._asks.popleft()
        command = scripts.command("acquire", self._asker(breaker), self._token(breaker, token), first(breaker))
        return Errand(command, partial(self._leased, breaker, token, future), partial(self._unheard, breaker, token, future), breaker)

    def _looking(self) -> Errand | None:
        if not self._looks:
            return None
        breaker = self._looks.pop()
        tally, changes = breaker.take()
        counts = tally.ok, tally.failures, tally.slow, tally.tail, int(tally.unbroken)
        sample = breaker.sample() if tally.failures else ""
        command = scripts.command("report", self._asker(breaker), *counts, sample)
        return Errand(command, partial(self._reported, breaker, changes), about=breaker)

    def _asker(self, breaker: Breaker, settings: Settings | None = None) -> Asker:
        settings = settings or breaker.settings
        return Asker(self._names, self._source, breaker.name, settings, breaker.version, breaker.claim(), random())

    def _token(self, breaker: Breaker, token: int) -> str:
        return f"{self._source}:{self._life}:{token}"

    # Answers

    def _stands(self, breaker: Breaker, answer: list[Any]) -> None:
        self._heard(breaker, scripts.standing(answer))

    def _heard(self, breaker: Breaker, standing: Standing) -> None:
        """Any answer says how the breaker stands; the configuration may be newer, or older, than ours."""
        breaker.follow(standing)
        if standing.config_version > breaker.settings.version:
            command = ("HMGET", self._names.of(breaker.name).config, "cfgv", "settings", "override", "reason")
            self._waiting.append(Errand(command, partial(self._configured, breaker), about=breaker))
        published = self._published.get(breaker)
        if published is not None and standing.config_version < published.settings.version:
            self._publish.setdefault(breaker, published)

    def _configured(self, breaker: Breaker, answer: list[bytes | None]) -> None:
        version, settings, override, reason = answer
        if version is None or settings is None or int(version) <= breaker.settings.version:
            return
        breaker.configure(msgspec.json.decode(settings, type=Settings))
        breaker.decree(State(override.decode()) if override else None, (reason or b"").decode())

    def _reported(self, breaker: Breaker, changes: list[tuple[float, Change]], answer: list[Any]) -> None:
        standing = scripts.standing(answer)
        self._heard(breaker, standing)
        counts, settings = standing.counts, breaker.settings
        self.close_to_trip |= 2 * counts.failures >= settings.failure_threshold and 2 * counts.rate >= settings.failure_rate
        for at, change in changes:
            if standing.state is State.CLOSED or change.after is State.SHADOW:  # else the shared breaker's own entry says it
                self._waiting.append(Errand(self._logged(breaker, at, change)))

    def _logged(self, breaker: Breaker, at: float, change: Change) -> Command:
        fields = {
            "name": breaker.name,
            "before": change.before,
            "after": change.after,
            "ver": breaker.version,
            "cfgv": breaker.settings.version,
            "age": int(1000 * (self._clock() - at)),
            "scope": "local",
            "source": self._source,
            "why": msgspec.json.encode({**change.why, "sources": [self._source]}),
        }
        return ("XADD", self._names.log, "MAXLEN", "~", LOGGED, "*", *(part for pair in fields.items() for part in pair))

    def _leased(self, breaker: Breaker, token: int, future: Future[Permit | None], answer: list[Any]) -> None:
        (code, wait), standing = scripts.trial(answer), scripts.standing(answer)
        if code == 1:
            self._leases.take(breaker, token, standing.version, self._clock())
        self._resolve(breaker, future, standing, code == 1, token, wait)

    def _unheard(self, breaker: Breaker, token: int, future: Future[Permit | None]) -> None:
        """It may have been granted, and nobody was told: it is given back, before its time makes all others wait."""
        self.settle(breaker, token, breaker.version, Outcome.EXCLUDED)
        self._resolve(breaker, future, None, False, token, 0.0)

    def _resolve(
        self, breaker: Breaker, future: Future[Permit | None], standing: Standing | None, granted: bool, token: int, wait: float
    ) -> None:
        permit = breaker.answered(standing, granted, token, wait)
        if future.set_running_or_notify_cancel():
            future.set_result(permit)
        elif permit is not None:  # nobody waits any more
            permit.close()

    def _glanced(self, breaker: Breaker, answer: list[bytes | None]) -> None:
        version, throttled = answer
        standing = breaker.standing
        known = standing is not None and version is not None and int(version) == standing.version
        if not known or (throttled or b"0") != breaker.heard_throttle:
            breaker.heard_throttle = throttled or b"0"
            self._looks.add(breaker)

    def _glanced_config(self, breaker: Breaker, answer: bytes | None) -> None:
        if int(answer or 0) != breaker.settings.version:
            self._looks.add(breaker)
