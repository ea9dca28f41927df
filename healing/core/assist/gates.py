"""When a model's fix counts as proven, so that policy ``assisted`` applies it without a person. Every gate must be open."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from healing.core import fixes
from healing.core.match import traps
from healing.core.match.lexicon import PRIVILEGE, SECRECY
from healing.core.match.names import name_of
from healing.core.types import Misfit

from .agree import Agreement

SURE = 0.97
"""the least probability that the matcher must give the same fix as its first; chosen on real drift (docs/adr/0023)."""
LIKELY = 0.5
"""the same where the names differ in case and separators only."""
GUARDED = PRIVILEGE | SECRECY | frozenset(["access", "approved", "auth", "banned", "password", "secret", "trusted", "verified"])
"""words of columns that no model fills."""
_MOVES = (fixes.RenameColumn, fixes.Cast, fixes.MapValue)


class Proof(Struct, frozen=True):
    """The trial of every kept write of the cause, each in a transaction that was rolled back."""

    tried: int = 0
    landed: int = 0
    """wrote what was meant, read back equal, and Postgres changed no value."""
    more: int = 0
    """writes that were not tried because there were too many."""
    why: str = ""
    """what the first that did not land said, or why nothing could be tried."""

    @property
    def whole(self) -> bool:
        """Every write was tried, and every one landed."""
        return self.tried > 0 and self.landed == self.tried and not self.more


class Case(Struct, frozen=True):
    """Everything the gates look at. ``approved_before``: a person approved the same fix for this table, and nothing was taken back."""

    ops: tuple[fixes.Fix, ...]
    misfits: tuple[Misfit, ...]
    agreement: Agreement
    proof: Proof
    approved_before: bool = False
    taken_back: bool = False
    """a write that was healed with this fix was undone, or its sender called it wrong; or a person rejected the fix."""


def why_not(case: Case) -> list[str]:
    """What keeps the fix from being applied unasked; empty = proven."""
    found = [
        *_of_kind(case.ops),
        *traps.of_renames(case.ops),
        *_of_rights(case.ops, case.misfits),
        *_of_backing(case),
        *_of_proof(case.proof),
    ]
    if case.taken_back:
        found.append("it was rejected or taken back before")
    return found


def of_rights(ops: Sequence[fixes.Fix]) -> list[str]:
    """What must not be decided without a person, by its names alone: rights, secrets, and words that mean opposites."""
    return [*_of_rights(ops, ()), *traps.of_renames(ops)]


def _of_proof(proof: Proof) -> list[str]:
    if proof.whole:
        return []
    return [proof.why or f"{proof.landed} of {proof.tried + proof.more} kept writes landed in the trial"]


def _of_kind(ops: Sequence[fixes.Fix]) -> list[str]:
    """Only what moves or respells a value: nothing lost, made up, or parked."""
    return [f"{fixes.brief(op)} is not for use without a person" for op in ops if not (isinstance(op, _MOVES) and fixes.is_exact(op))]


def _of_rights(ops: Sequence[fixes.Fix], misfits: Sequence[Misfit]) -> list[str]:
    """What grants rights or keeps a secret is for people, whatever its key is called."""
    named = {misfit.column for misfit in misfits} | {name for op in ops for name in fixes.touches(op)}
    named |= {op.source for op in ops if isinstance(op, fixes.RenameColumn)}
    words = {name: set(name_of(name).words) for name in sorted(filter(None, named))}
    return [f"`{name}` is about rights or secrets" for name, found in words.items() if found & GUARDED]


def _of_backing(case: Case) -> list[str]:
    """Somebody beside the model says the same: the matcher, surely, or a person, before."""
    bound = LIKELY if _only_respelled(case.ops) else SURE
    if case.approved_before or (case.agreement.word == "same" and case.agreement.matcher >= bound):
        return []
    if case.agreement.word == "same":
        return [f"the matcher says the same, but not surely ({case.agreement.matcher:.2f})"]
    return ["the matcher says something else" if case.agreement.word == "other" else "the matcher does not say the same"]


def _only_respelled(ops: Sequence[fixes.Fix]) -> bool:
    """Each name keeps its letters and digits, in their order: ``firstName`` and ``first_name``."""
    return all(isinstance(op, fixes.RenameColumn) and _letters(op.source) == _letters(op.target) != "" for op in ops)


def _letters(name: str) -> str:
    return "".join(c for c in name.casefold() if c.isalnum())
