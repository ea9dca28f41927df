"""The breakers of a process: ``breakers.get("lovable-ai", failure_threshold=5, timeout=60)``.

Each decides at once from what this process knows. After ``connect`` they are shared by all processes of a namespace through Valkey;
until then, and whenever Valkey is away, each process counts for itself.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import weakref
from collections.abc import Callable
from time import monotonic
from typing import Any

from breakers.breaker import Breaker
from breakers.core.names import check
from breakers.core.types import OVERRIDES, Settings, State, View
from breakers.permits import Permit
from breakers.refusal import Open
from breakers.shared.link import Link

__all__ = ["Breaker", "Open", "Permit", "Registry", "default", "get"]
log = logging.getLogger(__name__)
MOST = 1_000
LONGEST_PAUSE = 86_400_000
"""Milliseconds: whatever a service says, Valkey can count them."""
registries: weakref.WeakSet[Registry] = weakref.WeakSet()


class Registry:
    """At most ``most`` breakers: names must come from a closed set, never from callers' data. ``clock`` is monotonic seconds."""

    def __init__(self, most: int = MOST, clock: Callable[[], float] = monotonic) -> None:
        self._most, self._clock = most, clock
        self._breakers: dict[str, Breaker] = {}
        self._lock = threading.Lock()
        self._listeners: list[Callable[[View], None]] = []
        self._link = Link(self._breakers, self._tell, clock)
        registries.add(self)

    def get(self, name: str, *, excluded: tuple[type[BaseException], ...] = (), **settings: Any) -> Breaker:
        """The breaker of that name, made at the first call. ``settings`` are those of ``Settings``; a stored configuration goes before
        them. ``excluded``: exceptions that say nothing about the service. Raises ``ValueError`` for a bad name or setting, or too many."""
        breaker = self._breakers.get(name) or self._make(name, excluded, settings)
        if settings:
            self._compare(breaker, settings)
        return breaker

    def _make(self, name: str, excluded: tuple[type[BaseException], ...], settings: dict[str, Any]) -> Breaker:
        with self._lock:
            if name not in self._breakers:
                if len(self._breakers) >= self._most:
                    raise ValueError(
                        f"There are {self._most} breakers already, so {check(name)!r} was not made. Take names from a closed set."
                    )
                breaker = Breaker(check(name), Settings(**settings), excluded, self._clock, self._link)
                self._breakers[name] = breaker
                self._link.joined(breaker)
            return self._breakers[name]

    def _compare(self, breaker: Breaker, settings: dict[str, Any]) -> None:
        declared = breaker.declared
        for key, value in settings.items():
            if getattr(declared, key) != value:
                if not breaker.disputed:
                    breaker.disputed = True
                    log.warning("breaker %r: asked for with other settings (%s) than it was made with; the first hold.", breaker.name, key)
                return

    def connect(self, redis_url: str, *, namespace: str, source: str | None = None) -> None:
        """Share the breakers through Valkey, under ``namespace``. Returns at once; Valkey may come later. ``source`` is what counts as
        one node (default: this process and its forks)."""
        self._link.connect(redis_url, namespace, source)

    def apply(self, name: str, settings: Settings, override: State | None = None, reason: str = "A person decided.") -> None:
        """The stored configuration, ``settings.version`` of it: in force here at once and, through Valkey, everywhere; no count is lost.
        An older version than the known one is ignored. ``override``: hold it (``FORCED_OPEN``, ``DISABLED``, ``SHADOW``), close it once
        (``CLOSED``), or None. The view says ``pending`` until Valkey has it."""
        if override is not None and override not in OVERRIDES:
            raise ValueError(f"A person may ask for {', '.join(sorted(OVERRIDES))}; {override} is none of them.")
        breaker = self.get(name)
        if settings.version >= breaker.settings.version:
            self._link.publish(breaker, settings, override, reason)

    def throttle(self, name: str, ms: int) -> None:
        """The service asked for a pause (Retry-After): nothing goes through for so long. Never makes a longer one shorter; a day
        is the longest."""
        breaker, seconds = self.get(name), min(max(0, ms), LONGEST_PAUSE) / 1000
        breaker.throttle(seconds)
        self._link.throttle(breaker, seconds)

    def views(self) -> list[View]:
        """All breakers of this process, by name. While somebody keeps asking, the shared counts are at most a second old."""
        self._link.watch()
        return [breaker.view() for _, breaker in sorted(self._breakers.copy().items())]

    def saved(self) -> list[tuple[str, int, int]]:
        """Name, calls spared, and those of them that a fallback answered, since this was asked last; breakers that spared none are left
        out. For one who asks, now and then."""
        found = []
        for name, breaker in self._breakers.copy().items():
            refused, rescued = breaker.refused, breaker.rescued
            if refused or rescued:
                breaker.refused -= refused
                breaker.rescued -= rescued
                found.append((name, refused, rescued))
        return found

    def on_change(self, callback: Callable[[View], None]) -> None:
        """Call it with the view after each change of a state; from any thread, so it must be quick."""
        self._listeners.append(callback)

    def on_link(self, callback: Callable[[bool, str], None]) -> None:
        """Call it once whenever Valkey is lost (False, why) or found again (True, "")."""
        self._link.watchers.append(callback)

    def flush(self, timeout: float = 1.0) -> bool:
        """Report what was counted; before a process ends by ``os._exit``. Whether all of it went out."""
        return self._link.flush(timeout)

    def close(self) -> None:
        """Report what was counted, and end the link. The breakers go on alone."""
        self._link.close()

    def _tell(self, breaker: Breaker) -> None:
        view = breaker.view()
        for listener in self._listeners:
            try:
                listener(view)
            except Exception:
                log.exception("breaker %r: a listener failed", breaker.name)

    def after_fork(self) -> None:
        """In the child: locks and threads of the parent are gone, its leases and its unreported counts are the parent's."""
        self._lock = threading.Lock()
        self._link.forked()
        for breaker in self._breakers.values():
            breaker.renew()


def _after_fork() -> None:
    for registry in list(registries):
        registry.after_fork()


def _at_exit() -> None:
    for registry in list(registries):
        registry.close()


atexit.register(_at_exit)
os.register_at_fork(after_in_child=_after_fork)
default = Registry()
get = default.get
