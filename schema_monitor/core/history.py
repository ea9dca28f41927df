"""The names that things had, by identity, and what a name means given who lives now. Knows nothing of tables or columns."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cached_property
from typing import Generic, TypeVar

from msgspec import Struct

T = TypeVar("T")
N = TypeVar("N")
FORGOTTEN = 0
"""The identity that holds names of things gone so long that nobody needs to tell them apart. Never alive."""


class Live(Struct, Generic[T], frozen=True):
    """The name is in use and means only this."""

    value: T


class Renamed(Struct, Generic[T], frozen=True):
    """A former name of exactly this one living thing."""

    value: T


class Reused(Struct, Generic[T], frozen=True):
    """In use by ``live``; ``former`` had it before and live under other names."""

    live: T
    former: tuple[T, ...]


class Ambiguous(Struct, Generic[T], frozen=True):
    """Not exact. ``candidates`` are the living things that had the name; there may be one only."""

    candidates: tuple[T, ...]


class Gone(Struct, frozen=True):
    """Belonged to dropped things only. ``attnum`` is the column's, or the oid of a relation or label; 0 = long ago."""

    attnum: int


class Retired(Struct, Generic[T], frozen=True):
    """A former name of exactly this living thing, which a person retired: it is followed no more."""

    value: T


class Unknown(Struct, frozen=True):
    """Never seen."""


Resolution = Live[T] | Renamed[T] | Reused[T] | Ambiguous[T] | Retired[T] | Gone | Unknown


class History(Struct, Generic[N], frozen=True, omit_defaults=True, dict=True):
    """Names by identity. For a living thing all names but the present one; for a dropped thing all names."""

    names: dict[int, tuple[N, ...]] = {}
    inferred: dict[int, tuple[N, ...]] = {}
    """names carried over from another scope by matching names."""

    @cached_property
    def _exact(self) -> dict[N, tuple[int, ...]]:
        return _owners(self.names)

    @cached_property
    def _guessed(self) -> dict[N, tuple[int, ...]]:
        return _owners(self.inferred)

    def known(self) -> set[N]:
        """Every name in it."""
        return {*self._exact, *self._guessed}

    def resolve(self, name: N, live: tuple[T, ...], alive: Callable[[int], T | None]) -> Resolution[T]:
        """What ``name`` means, given the things that bear it now and a look-up of living things by identity."""
        exact, guessed = self._exact.get(name, ()), self._guessed.get(name, ())
        if not exact and not guessed and len(live) == 1:
            return Live(live[0])
        owners = tuple(dict.fromkeys((*exact, *guessed)))
        living = tuple(thing for n in owners if (thing := alive(n)) is not None)
        if len(live) > 1:
            return Ambiguous(live)
        if live:
            former = tuple(thing for thing in living if thing != live[0])
            return Reused(live[0], former) if former else Live(live[0])
        if living:
            return Renamed(living[0]) if len(owners) == 1 and exact else Ambiguous(living)
        return Gone(exact[-1]) if exact else Unknown()

    def advance(self, old: Mapping[int, N], new: Mapping[int, N]) -> History[N]:
        """The history after the living names went from ``old`` to ``new``."""
        names = dict(self.names)
        for identity, name in old.items():
            if new.get(identity) != name and name not in names.get(identity, ()):
                names[identity] = (*names.get(identity, ()), name)
        for identity in names.keys() & new.keys():
            names[identity] = tuple(n for n in names[identity] if n != new[identity])
        return History({i: n for i, n in names.items() if n}, self.inferred)

    def forget(self, gone: Iterable[int]) -> History[N]:
        """The same with those identities merged into the forgotten one; no name is lost."""
        merged = dict.fromkeys(self.names.get(FORGOTTEN, ()))
        for identity in gone:
            merged.update(dict.fromkeys(self.names.get(identity, ())))
        kept = {i: n for i, n in self.names.items() if i != FORGOTTEN and i not in set(gone)}
        return History({**kept, FORGOTTEN: tuple(merged)} if merged else kept, self.inferred)

    def doubt(self, identity: int) -> History[N]:
        """The same with what is known of that identity made inferred."""
        if identity not in self.names:
            return self
        doubted = tuple(dict.fromkeys((*self.inferred.get(identity, ()), *self.names[identity])))
        names = {i: n for i, n in self.names.items() if i != identity}
        return History(names, {**self.inferred, identity: doubted})

    def doubt_all(self) -> History[N]:
        """The same with everything inferred."""
        history = self
        for identity in self.names:
            history = history.doubt(identity)
        return history

    def carry(self, old: Mapping[int, N], new: Mapping[int, N]) -> History[N]:
        """A history in a new scope, all of it inferred: things are matched by their present name; the names of what finds
        no match belong to the forgotten identity."""
        there = {name: identity for identity, name in new.items()}
        carried: dict[int, dict[N, None]] = {}
        for identity in {**old, **self.names, **self.inferred}:
            home = there.get(old[identity], FORGOTTEN) if identity in old else FORGOTTEN
            names = (*self.inferred.get(identity, ()), *self.names.get(identity, ()), *_present(old, identity))
            carried.setdefault(home, {}).update(dict.fromkeys(n for n in names if n != new.get(home)))
        return History({}, {i: tuple(n) for i, n in carried.items() if n})


def _present(names: Mapping[int, N], identity: int) -> tuple[N, ...]:
    return (names[identity],) if identity in names else ()


def _owners(names: Mapping[int, tuple[N, ...]]) -> dict[N, tuple[int, ...]]:
    owners: dict[N, tuple[int, ...]] = {}
    for identity, owned in names.items():
        for name in owned:
            owners[name] = (*owners.get(name, ()), identity)
    return owners


NO_NAMES: History[str] = History()
