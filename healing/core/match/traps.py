"""Similar names that hide another meaning. Each trap is said in words; any of them makes a proposal unfit for automatic use."""

from __future__ import annotations

from functools import lru_cache

from .lexicon import PRIVILEGE, SECRECY, STATISTIC, UNITS
from .names import Name, opposite, same_word


@lru_cache(maxsize=20_000)
def traps(key: Name, column: Name) -> tuple[str, ...]:
    """What could be wrong with writing ``key``'s value to ``column``, in plain words; empty where nothing is known."""
    return tuple(
        dict.fromkeys(
            [*_units(key, column), *_secrecy(key, column), *_privilege(key, column), *_statistic(key, column), *_opposites(key, column)]
        )
    )


def only_in(one: Name, other: Name) -> list[str]:
    """Words of ``one`` that have no counterpart in ``other``."""
    return [w for w in one.words if all(same_word(w, x) < 0.85 for x in other.words)]


def _units(key: Name, column: Name) -> list[str]:
    here = {w: UNITS[w] for w in key.words[-2:] if w in UNITS}
    there = {w: UNITS[w] for w in column.words[-2:] if w in UNITS}
    if here == there:
        return []
    if here and there and set(here.values()) & set(there.values()):
        return [f"the unit differs: {next(iter(here))} and {next(iter(there))}"]
    lonely = [
        w for w, kind in {**here, **there}.items() if kind in ("money", "mass", "bytes", "share", "heat") and w not in ("m", "g", "ratio")
    ]
    return [f"only one of them names a unit ({lonely[0]})"] if lonely else []


def _secrecy(key: Name, column: Name) -> list[str]:
    here, there = SECRECY & set(key.words), SECRECY & set(column.words)
    if bool(here) == bool(there):
        return []
    return [f"one is plain, the other is a {min(here | there)}"]


def _privilege(key: Name, column: Name) -> list[str]:
    there = PRIVILEGE & set(column.words)
    if not there or PRIVILEGE & set(key.words):
        return []
    return [f"the column grants rights ({min(there)}) and the key does not say so"]


def _statistic(key: Name, column: Name) -> list[str]:
    here = {STATISTIC[w] for w in key.words if w in STATISTIC}
    there = {STATISTIC[w] for w in column.words if w in STATISTIC}
    if here and there and not here & there:
        return [f"a {min(here)} is not a {min(there)}"]
    return []


def _opposites(key: Name, column: Name) -> list[str]:
    found = [(a, b) for a in key.words for b in column.words if opposite(a, b)]
    if not found:
        return []
    mine, theirs = only_in(key, column), only_in(column, key)
    return [f"{a} is not {b}" for a, b in found if a in mine and b in theirs][:1]
