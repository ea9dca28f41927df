"""What a miner or a tuner hands over: a change with its reasons, and what it is expected to bring, with an interval."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct

Kind = Literal["rule", "merge", "demote", "prove", "cause", "setting", "breaker", "prompt"]
"""rule: a fix for the review queue · merge: one fix for several tables · demote, prove: an active rule's standing · cause: kept writes that
need a person's eye (rule, DDL or source) · setting, breaker, prompt: something that is set."""


class Expected(Struct, frozen=True):
    """A gain from ``low`` to ``high``, most likely ``middle``: above 0 is better. ``metric`` says of what, ``unit`` in what."""

    metric: str
    middle: float
    low: float
    high: float
    unit: str = "share"


class Idea(Struct, frozen=True, kw_only=True):
    """``proposer``: the part that had it. ``place``: a table, a breaker, ''. ``old`` and ``new``: what is set now and would be.
    ``key`` tells it from others: the same idea, found again, is the same."""

    kind: Kind
    proposer: str
    name: str
    place: str = ""
    old: Any = None
    new: Any = None
    sentence: str
    evidence: dict[str, Any] = {}
    expected: Expected

    @property
    def key(self) -> str:
        """The same for the same change, whatever was measured meanwhile."""
        return f"{self.kind}:{self.name}:{self.place}:{self.new}"
