"""The breakers of the AI gateway: the whole of it, one a provider, and the pauses that providers ask for.

A pause (429, Retry-After) is about one key and one model. It is shared by all processes as the throttle of a breaker of its own
(``ai-pause:<provider's key>/<model>``), which counts nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Protocol

from breakers.core.ai.standing import Place
from breakers.core.types import View
from breakers.permits import Permit

WHOLE = "ai-gateway"
"""The breaker of all of it."""
PAUSE = "ai-pause:"
_LONGEST = 120
_MOST = 1000
_LOOK = 0.005
_KEY = 8
"""Characters of a key's id that tell it from others."""


class Gate(Protocol):
    """A breaker."""

    def allow(self) -> bool: ...
    def view(self) -> View: ...
    async def aacquire(self) -> Permit: ...


class Breakers(Protocol):
    """A registry."""

    def get(self, name: str) -> Gate: ...
    def throttle(self, name: str, ms: int) -> None: ...


class Gates:
    """Of one process."""

    def __init__(self, breakers: Breakers) -> None:
        self._breakers = breakers
        self._pauses: dict[Place, Gate] = {}
        self._lifted: dict[str, int] = {}

    def get(self, name: str) -> Gate:
        """The breaker of that name."""
        return self._breakers.get(name)

    def pause(self, place: Place, seconds: float) -> None:
        """Every process leaves this key and model alone for so long."""
        with suppress(ValueError):  # there are too many breakers: then it holds in this process alone
            self._breakers.throttle(self._name(place), max(1, round(seconds * 1000)))

    def paused(self, place: Place) -> float:
        """Seconds for which another process has been told to leave it alone; 0 = it may be asked."""
        gate = self._pauses.get(place) or self._remember(place)
        return 0.0 if gate is None or gate.allow() else max(0.001, gate.view().remaining_ms / 1000)

    def lift(self, key: str, at: int) -> None:
        """A person ended the rest of this key: its pauses have another name from now on, in every process."""
        self._lifted[key] = at
        for place in [each for each in self._pauses if each[0] == key]:
            del self._pauses[place]

    async def heard(self, names: Iterable[str], places: Iterable[Place], patience: float) -> None:
        """Waits until it is known how these stand elsewhere, at most ``patience`` seconds: a process that has just begun knows nothing."""
        gates = [self.get(name) for name in names] + [gate for place in places if (gate := self._remember(place)) is not None]
        for _ in range(round(patience / _LOOK)):
            if all(gate.view().version for gate in gates):
                return
            await asyncio.sleep(_LOOK)

    def _remember(self, place: Place) -> Gate | None:
        if len(self._pauses) >= _MOST:
            self._pauses.clear()  # keys and models come and go
        with suppress(ValueError):
            self._pauses[place] = self._breakers.get(self._name(place))
        return self._pauses.get(place)

    def _name(self, place: Place) -> str:
        return name_of(place, self._lifted.get(place[0], 0))


def name_of(place: Place, lifted: int = 0) -> str:
    """The breaker that holds the pause of a key and a model."""
    key, model = place
    since = f".{lifted:x}" if lifted else ""
    text = f"{PAUSE}{key[:_KEY]}{since}/{model}"[:_LONGEST]
    return "".join(each if each.isprintable() and each not in "{}" else "_" for each in text).strip()
