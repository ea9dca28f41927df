"""The model and the matcher never see each other's answer; where both say the same, that says more than either alone."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from healing.core import fixes
from healing.core.types import Proposal

FAIR = 0.25
"""how often a model is right that nothing is known about."""
SPOKE = 0.5
"""below this the matcher is taken to be silent, not to disagree."""


class Agreement(Struct, frozen=True):
    """``word``: same, other or silent. ``matcher``: its probability for the same fix where that is its first, else of what it
    puts first. ``confidence``: that the model's fix is right, by both."""

    word: str
    matcher: float
    confidence: float


def agree(ops: Sequence[fixes.Fix], proposals: Sequence[Proposal], trust: float = FAIR) -> Agreement:
    """Compares with the matcher's first proposal. ``trust``: how often this model was right so far."""
    if not proposals:
        return Agreement("silent", 0.0, _within(trust))
    first = proposals[0]
    if _same(ops, first):
        return Agreement("same", first.probability, _within(1 - (1 - first.probability) * (1 - trust)))
    if first.probability < SPOKE:
        second = next((p.probability for p in proposals if _same(ops, p)), 0.0)
        return Agreement("silent", first.probability, _within(max(trust, second)))
    return Agreement("other", first.probability, _within(trust * (1 - first.probability)))


def _same(ops: Sequence[fixes.Fix], proposal: Proposal) -> bool:
    """The same ops, in whatever order."""
    theirs = fixes.parse(list(proposal.fix))
    return sorted(fixes.content_hash_text((op,)) for op in ops) == sorted(fixes.content_hash_text((op,)) for op in theirs)


def _within(chance: float) -> float:
    """Never certain: only a person or lineage is."""
    return round(min(max(chance, 0.01), 0.999), 4)
