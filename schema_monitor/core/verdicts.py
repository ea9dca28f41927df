"""What becomes of a request after a change, and why: the words that an impact check answers with."""

from __future__ import annotations

from enum import StrEnum
from typing import Any

from msgspec import Struct

from schema_monitor.core.traffic import RecentShape


class Verdict(StrEnum):
    """From harmless to bad."""

    FITS = "fits"
    """lands as it is sent."""
    HEALS = "heals"
    """lands because lineage, or a rule that is active now, follows the change."""
    DEPENDS = "depends"
    """depends on values, which nobody has seen: it lands where they fit or can be put right without loss."""
    NEEDS_RULE = "needs_rule"
    """fails until a person approves a rule; the writes wait in quarantine."""
    BREAKS = "breaks"
    """fails, and no rule helps."""


ORDER = tuple(Verdict)


class Remedy(Struct, frozen=True):
    """A rule that would settle it. ``fix`` is in the fix language; empty where a person must name the value first."""

    sentence: str
    fix: tuple[dict[str, Any], ...] = ()


class Reason(Struct, frozen=True):
    """One thing about a shape. ``code`` and ``message`` are the error that the caller would get, where there is one; ``signature`` is that
    of rules which would answer it."""

    verdict: Verdict
    sentence: str
    column: str = ""
    code: str = ""
    message: str = ""
    signature: str = ""
    remedies: tuple[Remedy, ...] = ()


class Judged(Struct, frozen=True):
    """One shape of one caller: what it meets today, and what it would meet."""

    shape: RecentShape
    verdict: Verdict
    today: Verdict
    reasons: tuple[Reason, ...] = ()

    @property
    def worse(self) -> bool:
        """Whether the change would make it worse."""
        return ORDER.index(self.verdict) > ORDER.index(self.today)


def worst(reasons: tuple[Reason, ...]) -> Verdict:
    """The verdict over all."""
    return max((reason.verdict for reason in reasons), key=ORDER.index, default=Verdict.FITS)
