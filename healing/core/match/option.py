"""One way to settle one misfit, with its probability and reasons."""

from __future__ import annotations

from msgspec import Struct

from healing.core.types import Json

Op = dict[str, Json]


class Option(Struct, frozen=True):
    """``misfit`` is the signature that it settles; ``takes`` names the live column it writes to ('' = none); ``gentle`` is False for
    options that lose something or only park the value, which are offered after the others."""

    misfit: str
    op: Op
    probability: float
    says: str
    takes: str = ""
    gentle: bool = True
    for_: tuple[str, ...] = ()
    against: tuple[str, ...] = ()
    settles: tuple[str, ...] = ()
    """further signatures that are settled with it (a missing value that a rename supplies)."""
