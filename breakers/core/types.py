"""The values of a breaker: states, outcomes, settings, counts, and what is shown of it. Seconds, unless a name ends in ``_ms``."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct


class State(StrEnum):
    """``FORCED_OPEN``, ``DISABLED`` (never rejects or counts) and ``SHADOW`` (counts, never rejects): only people set these."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    FORCED_OPEN = "forced_open"
    DISABLED = "disabled"
    SHADOW = "shadow"


HELD = frozenset({State.FORCED_OPEN, State.DISABLED, State.SHADOW})
"""States that hold until a person clears them."""
OVERRIDES = HELD | {State.CLOSED}
"""What a person may ask for. ``CLOSED`` closes it once; from then on it goes by its results again."""


class Outcome(StrEnum):
    """A call's end. ``EXCLUDED`` (cancelled, the caller's own fault) returns its permit, counts nowhere; ``SLOW`` is a late success."""

    OK = "ok"
    FAILURE = "failure"
    SLOW = "slow"
    EXCLUDED = "excluded"


class Settings(Struct, frozen=True, kw_only=True):
    """When a breaker opens, and how it comes back. Raises ``ValueError`` where a value makes no sense."""

    failure_threshold: int = 5
    """trips with at least so many failures in the window, and at least ``failure_rate`` of at least ``minimum_calls`` calls."""
    failure_rate: float = 0.5
    minimum_calls: int = 5
    consecutive: int = 0
    """trips after so many failures in a row; 0 = off."""
    slow_after: float | None = None
    slow_rate: float = 0.5
    """trips when at least this part of at least ``minimum_calls`` calls was slow (only with ``slow_after``)."""
    window: float = 60.0
    window_calls: int = 0
    """> 0: the window is the last so many calls instead of the last ``window`` seconds."""
    timeout: float = 60.0
    timeout_cap: float = 600.0
    """open time = min(cap, timeout * 2^trips) * (1 ± 0.2)."""
    permits: int = 3
    permit_seconds: float = 30.0
    """half-open: so many trials in all, each on a lease of so many seconds."""
    ramp: tuple[float, ...] = (0.1, 0.25, 0.5)
    ramp_seconds: float = 10.0
    """after closing: the part of the calls that is let through, for so many seconds each; () = all at once."""
    shadow: bool = False
    version: int = 0
    """the version of the stored configuration; 0 = the code's own."""

    def __post_init__(self) -> None:
        for name, (least, most) in _BOUNDS.items():
            value = getattr(self, name)
            if value is not None and not least <= value <= most:
                raise ValueError(f"{name} must be between {least:g} and {most:g}; it is {value!r}.")
        if not all(0.0 < share < 1.0 for share in self.ramp) or len(self.ramp) > 10:
            raise ValueError(f"ramp must be at most 10 parts between 0 and 1; it is {self.ramp!r}.")


_BOUNDS: dict[str, tuple[float, float]] = {
    "failure_threshold": (1, 1_000_000),
    "failure_rate": (0.0, 1.0),
    "minimum_calls": (1, 1_000_000),
    "consecutive": (0, 1_000_000),
    "slow_after": (0.0, 86_400),
    "slow_rate": (0.01, 1.0),
    "window": (0.1, 3_600),
    "window_calls": (0, 100_000),
    "timeout": (0.01, 86_400),
    "timeout_cap": (0.01, 86_400),
    "permits": (1, 1_000),
    "permit_seconds": (0.05, 3_600),
    "ramp_seconds": (0.0, 3_600),
}


class Counts(Struct, frozen=True):
    """What a window holds. ``ok`` and ``slow`` are both successes."""

    ok: int = 0
    failures: int = 0
    slow: int = 0

    @property
    def calls(self) -> int:
        """All of them."""
        return self.ok + self.failures + self.slow

    @property
    def rate(self) -> float:
        """The part that failed."""
        calls = self.calls
        return self.failures / calls if calls else 0.0


class Change(Struct, frozen=True):
    """A breaker went from one state to another. ``why`` is JSON: ``rule``, ``sentence``, counts, sources, a redacted error."""

    before: State
    after: State
    why: dict[str, Any]


class Standing(Struct, frozen=True, kw_only=True):
    """How the shared breaker stands, by the shared server's clock: seconds from now, so that no two clocks are compared."""

    state: State
    """closed, open or half_open."""
    version: int
    override: State | None = None
    config_version: int = 0
    remaining: float = 0.0
    trips: int = 0
    ramp_elapsed: float | None = None
    """since it began to recover; None = it does not."""
    throttled: float = 0.0
    why: dict[str, Any] | None = None
    counts: Counts = Counts()


class View(Struct, frozen=True, kw_only=True):
    """A breaker as people see it."""

    name: str
    state: State
    version: int = 0
    config_version: int = 0
    remaining_ms: int = 0
    """until the next trial call; 0 where none is waited for."""
    trips: int = 0
    ramp: float = 1.0
    """the part of the calls that is let through while it recovers."""
    calls: int = 0
    failures: int = 0
    slow: int = 0
    rate: float = 0.0
    why: dict[str, Any] | None = None
    """of the last change."""
    shared: bool = False
    """whether the shared state is reached."""
    pending: bool = False
    """whether a configuration or an override waits for the shared state to come back."""
