"""Similar names that hide another meaning. Each trap is said in words; any of them makes a proposal unfit for automatic use."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, reduce
from operator import or_

from msgspec import Struct

from healing.core.ops import Fix, RenameColumn

from .lexicon import OPPOSITE_PAIRS, PRIVILEGE, SECRECY, STATISTIC, UNITS
from .names import Name, name_of, opposite, same_word, singular

Part = tuple[bool, str, str]
_OPPOSED = frozenset(word for word, _ in OPPOSITE_PAIRS)
UNIT, SECRET, RIGHT, STATISTICAL, OPPOSED, ROLE, DENIAL, NUMBER = (1 << i for i in range(8))


class Signs(Struct, frozen=True, gc=False):
    """Which kinds of traps a name has words for, as bits; and who does it or to whom it is done (``_parts``)."""

    kinds: int
    parts: tuple[Part, ...]


def traps(key: Name, column: Name) -> tuple[str, ...]:
    """What could be wrong with writing ``key``'s value to ``column``, in plain words; empty where nothing is known."""
    return trapped(key, signs(key), column, signs(column))


def trapped(key: Name, mine: Signs, column: Name, theirs: Signs) -> tuple[str, ...]:
    """The same for names whose signs are known: only the traps that these allow are looked for."""
    here, there = mine.kinds, theirs.kinds
    either, both = here | there, here & there
    if not either:
        return ()
    found: list[str] = []
    if either & UNIT:
        found += _units(key, column)
    if (here ^ there) & SECRET:
        found += _secrecy(key, column)
    if there & ~here & RIGHT:
        found += _privilege(key, column)
    if both & STATISTICAL:
        found += _statistic(key, column)
    if both & OPPOSED:
        found += _opposites(key, column)
    if both & ROLE:
        found += _roles(key, mine.parts, column, theirs.parts)
    if either & DENIAL:
        found += _negated(key, column)
    if both & NUMBER:
        found += _numbered(key, column)
    return tuple(dict.fromkeys(found)) if found else ()


def of_renames(ops: Iterable[Fix]) -> list[str]:
    """The traps of all renames of a fix."""
    pairs = [(name_of(op.source), name_of(op.target)) for op in ops if isinstance(op, RenameColumn)]
    return list(dict.fromkeys(trap for key, column in pairs for trap in traps(key, column)))


def signs(name: Name) -> Signs:
    """Looks for the words of traps."""
    found = [_sign(word) for word in name.words]
    kinds = reduce(or_, [sign & ~UNIT for sign in found[:-2]] + found[-2:], 0)
    return Signs(kinds, _parts(name) if kinds & ROLE else ())


@lru_cache(maxsize=8_192)
def _sign(word: str) -> int:
    return (
        UNIT * (word in UNITS)
        | SECRET * (word in SECRECY)
        | RIGHT * (word in PRIVILEGE)
        | STATISTICAL * (word in STATISTIC)
        | OPPOSED * (word in _OPPOSED or singular(word) in _OPPOSED)
        | ROLE * (len(word) > 4 and word.endswith(("er", "or", "ee", "ed")))
        | DENIAL * (word == "not" or word.startswith(("un", "non")))
        | NUMBER * word.isdigit()
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


def _roles(key: Name, here: tuple[Part, ...], column: Name, there: tuple[Part, ...]) -> list[str]:
    """Who does it, and whom or what it is done to: reporter and reported, employer and employee."""
    return [
        f"{word} is not {other}"
        for does, base, word in here
        for did, other_base, other in there
        if base == other_base and does != did and word not in column.words and other not in key.words
    ][:1]


def _parts(name: Name) -> tuple[Part, ...]:
    """Does it (else it is done to), the word without that ending, the word. ``reported_by`` says who does it, so it is left out."""
    found = []
    for word, following in zip(name.words, (*name.words[1:], ""), strict=False):
        does = word.endswith(("er", "or"))
        base = word[:-2].rstrip("e")
        if (does or word.endswith(("ee", "ed"))) and len(base) >= 3 and following != "by":
            found.append((does, base, word))
    return tuple(found)


def _negated(key: Name, column: Name) -> list[str]:
    """Paid and unpaid, rated and non-rated."""
    found = [*_denied(key.words, column.words), *((a, b) for b, a in _denied(column.words, key.words))]
    if not found and ("not" in key.words) != ("not" in column.words):
        return ["only one of them says not"]
    return [f"{a} is not {b}" for a, b in found][:1]


def _denied(words: tuple[str, ...], others: tuple[str, ...]) -> list[tuple[str, str]]:
    """Words that deny one of the others."""
    return [(w, o) for w in words if w.startswith(("un", "non")) for o in others if len(o) >= 4 and w in ("un" + o, "non" + o)]


def _numbered(key: Name, column: Name) -> list[str]:
    """Both carry a number, and another: line_1 and line_2."""
    here, there = [w for w in key.words if w.isdigit()], [w for w in column.words if w.isdigit()]
    return [f"{here[0]} is not {there[0]}"] if here and there and not set(here) & set(there) else []
