"""One write with what must become of it."""

from __future__ import annotations

from msgspec import Struct

from healing.core.types import Row

LINEAGE, COLD = "lineage", "cold"


class Case(Struct):
    """``before`` is run before the schema is captured; then each of ``steps`` (a migration), with a capture between two of them and none
    after the last, which happens behind Mendgate's back.

    ``intended`` is the row as it was meant, under today's names; None: it must not land. ``truths`` are ops of which one must be in
    the best proposal, where the write is kept; () where silence, or anything unlikely, is right; None where nobody knows."""

    source: str
    kind: str
    mode: str
    table: str
    """as it is called today"""
    method: str
    path: str
    headers: dict[str, str]
    row: Row
    intended: Row | None
    truths: tuple[dict[str, object], ...] | None
    key: str = ""
    before: tuple[str, ...] = ()
    steps: tuple[tuple[str, ...], ...] = ()


class Outcome(Struct):
    """What became of a case."""

    case: Case
    status: int
    healed: str = ""
    changed: str = ""
    quarantine: str = ""
    verdict: str = ""
    """right, wrong, or abstained"""
    proposed: str = ""
    """right, wrong, silent: the best proposal, where the write was kept"""
    note: str = ""
