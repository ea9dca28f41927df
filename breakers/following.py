"""What others decide about a breaker: the shared state, people, the service itself. And how it stands, for people."""

from __future__ import annotations

from breakers.core.types import Settings, Standing, State
from breakers.counting import Counting
from breakers.shared.scripts import Claim
from breakers.tally import Tally


class Following(Counting):
    """A breaker that can be told."""

    @property
    def held(self) -> State | None:
        """What a person holds it in."""
        return self._machine.override

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

    def give_in(self, standing: Standing) -> None:
        """The shared breaker is well: one that opened for this process alone follows it, its time being over."""
        now = self._clock()
        with self._lock:
            if self._machine.tries(now) and standing.state is State.CLOSED:
                self._machine.adopt(standing, now)
                self._reflect(now)
        self._after(now)

    def claim(self) -> Claim:
        """What this process would tell a server that forgot the breaker."""
        standing, machine = self.standing, self._machine
        if standing is None or standing.state is State.CLOSED or machine.state is State.CLOSED:
            return Claim(trips=machine.trips)
        return Claim(machine.state, int(1000 * max(0.0, machine.until - self._clock())), machine.trips, machine.why)

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
