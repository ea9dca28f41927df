"""stub: alone."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from breakers.core.types import Outcome, Settings, State

if TYPE_CHECKING:
    from breakers.breaker import Breaker


class Link:
    """The way to the shared state."""

    def __init__(self, breakers: dict[str, Breaker], tell: Callable[[Breaker], None], clock: Callable[[], float]) -> None:
        self._breakers, self.changed, self._clock = breakers, tell, clock
        self.watchers: list[Callable[[bool, str], None]] = []
        self.up = False

    def renew(self) -> None:
        """After a fork."""

    def connect(self, redis_url: str, namespace: str, source: str | None) -> None:
        """Begin."""

    def joined(self, breaker: Breaker) -> None:
        """There is a new breaker."""

    def ask(self, breaker: Breaker, token: int) -> Any:
        """A trial's lease."""

    def settle(self, breaker: Breaker, token: int, version: int, outcome: Outcome) -> None:
        """A trial's end."""

    def news(self, breaker: Breaker, failed: bool) -> None:
        """Something was counted."""

    def publish(self, breaker: Breaker, settings: Settings, override: State | None, reason: str) -> None:
        """A configuration."""
        breaker.configure(settings)
        breaker.decree(override, reason)

    def throttle(self, breaker: Breaker, ms: int) -> None:
        """A pause."""

    def flush(self, timeout: float) -> bool:
        """Report."""
        return True

    def close(self) -> None:
        """End."""
