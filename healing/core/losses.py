"""The value that the guard's checks return: one loss, not yet tied to a column."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from msgspec import Struct

from healing.core.types import Json

UNKNOWN: Final = "?"
"""``stored``, where the server's settings, locale or clock decide it: read it back to know."""


class Lost(Struct, frozen=True):
    """What was sent, what would be stored, and why they differ."""

    sent: str
    stored: str
    why: str


Loss = Callable[[Json], Lost | None]
"""called with a non-null scalar."""
