"""What the columns that the table had before say: which of them went away beside the key, and where the key stood among them."""

from __future__ import annotations

from functools import lru_cache
from math import log2

from .likeness import kinship
from .names import Name, name_of
from .scene import Key, Scene, Target

FORMER = ("own_over_vanished", "same_place", "vanished")
_UNKNOWN = (0.0, -1.0, -1.0)


def vanished_of(scene: Scene, key: str) -> tuple[Name, ...]:
    """The other columns that went away: what came may be one of them."""
    if scene.former is None:
        return ()
    live = frozenset(scene.columns)
    return tuple(name_of(name) for name in scene.former if name not in live and name != key)


def former(scene: Scene, key: Key, target: Target, vanished: tuple[Name, ...]) -> tuple[float, ...]:
    """In the order of ``FORMER``: by how much the column is nearer to the key than to what else went away; on how many sides it has the
    neighbours that the key had (a rename keeps its place); how much else went away."""
    if scene.former is None:
        return _UNKNOWN
    own = kinship(key.name, target.name, scene.table).base
    others = [kinship(name, target.name, scene.table).base for name in vanished]
    return (
        own - max(others) if others else 1.0,
        float(_same_place(scene.former, scene.columns, key.text, target.column.name)),
        log2(1 + len(others)),
    )


@lru_cache(maxsize=20_000)
def _same_place(before: tuple[str, ...], now: tuple[str, ...], key: str, column: str) -> int:
    if key not in before:
        return -1
    shared = frozenset(before) & frozenset(now)
    old, new = _neighbours(before, key, shared), _neighbours(now, column, shared)
    return sum(a == b for a, b in zip(old, new, strict=True))


def _neighbours(names: tuple[str, ...], name: str, shared: frozenset[str]) -> tuple[str, str]:
    """The nearest shared names on both sides; '' at an end."""
    at = names.index(name)
    left = next((n for n in reversed(names[:at]) if n in shared), "")
    right = next((n for n in names[at + 1 :] if n in shared), "")
    return left, right
