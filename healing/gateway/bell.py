"""Tells the AI tier's worker that something is due. What rings is handed in by the composition: the fast path knows no queue.

A lost ring loses nothing: the row that says what is due was written before it.
"""

from __future__ import annotations

from collections.abc import Callable


def _silent() -> None:
    """Nobody listens; the sweeper will look."""


_ring: Callable[[], None] = _silent


def configure(ring: Callable[[], None]) -> None:
    """Called by the composition root. ``ring`` must neither block nor raise."""
    global _ring
    _ring = ring


def ring() -> None:
    """Rings."""
    _ring()
