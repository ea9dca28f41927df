"""Which keys may be used now: those that a provider cooled wait, those that it refused are out."""

from __future__ import annotations

from collections.abc import Callable

SHORTEST = 0.1
"""Seconds, also where a provider says 0."""
FIRST = 1.0
LONGEST = 60.0
"""Seconds that a key waits after a 429 that does not say how long: doubled each time, up to this."""

Place = tuple[str, str]
"""A key (or the provider's name, where it wants none) and a model: what a 429 is about."""


def _nobody(place: Place, seconds: float) -> None:
    pass


class Standing:
    """Of one process. Time is an argument (seconds, any clock). ``told`` learns of each wait: other processes are to know."""

    def __init__(self, told: Callable[[Place, float], None] = _nobody) -> None:
        self._told = told
        self._until: dict[Place, float] = {}
        self._strikes: dict[Place, int] = {}
        self._retired: set[str] = set()

    def cool(self, place: Place, seconds: float | None, now: float, *, tell: bool = True) -> float:
        """Not before ``seconds`` from now, or a guess where that is None; a longer wait stays. The seconds that it is now."""
        if seconds is None:
            strikes = self._strikes.get(place, 0)
            seconds = min(LONGEST, FIRST * 2.0 ** min(strikes, 10))
            self._strikes[place] = strikes + 1
        self._until[place] = max(self._until.get(place, 0.0), now + max(SHORTEST, seconds))
        if tell:
            self._told(place, self._until[place] - now)
        return self._until[place] - now

    def wait(self, place: Place, now: float) -> float:
        """Seconds until it may be used; 0 = now."""
        until = self._until.get(place)
        if until is None or until <= now:
            return 0.0
        return until - now

    def lift(self, key: str) -> None:
        """It need not rest any longer."""
        for place in [each for each in self._until if each[0] == key]:
            del self._until[place]
            self._strikes.pop(place, None)

    def answered(self, place: Place) -> None:
        """It works."""
        if place in self._until:
            self._until.pop(place, None)
            self._strikes.pop(place, None)

    def retire(self, key: str) -> None:
        """The provider does not take this key any more."""
        self._retired.add(key)

    def is_retired(self, key: str) -> bool:
        """Whether it was refused, here."""
        return key in self._retired

    def reinstate(self, keys: set[str]) -> None:
        """Retired are at most these: the rows have changed."""
        self._retired &= keys
