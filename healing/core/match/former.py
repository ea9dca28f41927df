"""What the columns that the table had before say: which of them went away beside the key, and where the key stood among them."""

from __future__ import annotations

from math import log2

from msgspec import Struct

from .layout import Layout, Target
from .names import name_of
from .scene import Key, Scene
from .shelves import Heard

FORMER = ("own_over_vanished", "same_place", "vanished")
_UNKNOWN = (0.0, -1.0, -1.0)


class Before(Struct, frozen=True):
    """What was there before, for one key. ``vanished``: the other columns that went away (what came may be one of them);
    ``shared``: the columns that stayed; ``beside``: those of them that stood next to the key, None where it was not there."""

    vanished: tuple[Heard, ...]
    shared: frozenset[str]
    beside: tuple[str, str] | None


def before(scene: Scene, key: Key) -> Before | None:
    """None where the former columns are not known."""
    if scene.former is None:
        return None
    layout, names = scene.layout, scene.former
    vanished = [layout.hear(name_of(name)) for name in names if name not in layout.places and name != key.text]
    shared = frozenset(names) & layout.places.keys()
    return Before(tuple(vanished), shared, _neighbours(names, key.text, shared) if key.text in names else None)


def former(known: Before | None, own: float, target: Target, layout: Layout) -> tuple[float, ...]:
    """In the order of ``FORMER``: by how much the column is nearer to the key (``own``) than to what else went away; on how many sides
    it has the neighbours that the key had (a rename keeps its place); how much else went away."""
    if known is None:
        return _UNKNOWN
    others = [layout.kinship(heard, target.place).base for heard in known.vanished]
    return (own - max(others) if others else 1.0, float(_same_place(known, target, layout)), log2(1 + len(others)))


def _same_place(known: Before, target: Target, layout: Layout) -> int:
    if known.beside is None:
        return -1
    now = _neighbours(layout.names, target.column.name, known.shared)
    return sum(a == b for a, b in zip(known.beside, now, strict=True))


def _neighbours(names: tuple[str, ...], name: str, shared: frozenset[str]) -> tuple[str, str]:
    """The nearest shared names on both sides; '' at an end."""
    at = names.index(name)
    left = next((n for n in reversed(names[:at]) if n in shared), "")
    right = next((n for n in names[at + 1 :] if n in shared), "")
    return left, right
