"""Where this process finds the shared state: given once at start by the composition root. Free of Django."""

from __future__ import annotations

from msgspec import Struct


class Where(Struct, frozen=True):
    """``redis_url`` '' = nowhere."""

    redis_url: str = ""
    namespace: str = "mendgate"


_current = Where()


def configure(where: Where) -> None:
    """Called by the composition root of each process."""
    global _current
    _current = where


def current() -> Where:
    """As it was given."""
    return _current
