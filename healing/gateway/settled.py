"""What is settled about inserts of one shape: plain values, as true as the ``State`` that remembers them. ``settle`` makes them."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct

from healing.core import quick, verify
from healing.core.mend import Applied
from healing.core.types import Change, Row
from healing.core.vet import Vet
from healing.gateway.coalesce import Lane
from schema_monitor.core.snapshot import Relation


class Plan(Struct, frozen=True):
    """How rows with certain live columns go through a lane. ``touched`` are the live columns that a fix wrote to: these are read
    back. Without an insert trigger the others cannot differ."""

    relation: Relation
    lane: Lane
    shown: bool
    touched: tuple[str, ...]
    named: tuple[str, ...] = ()
    """the names, as sent, that the answer shows."""

    def as_meant(self, rows: Sequence[Row], read_back: Sequence[Row], changes: Sequence[Change] = ()) -> bool:
        """Whether the healed columns were stored as meant; ``read_back`` has them of each row. Anything that
        differs otherwise than ``changes`` announce is for the slow path to look at."""
        announced = {change.column for change in changes}
        for row, stored in zip(rows, read_back, strict=True):
            meant = {key: row[key] for key in self.touched if key in row}
            if meant == stored:
                continue
            found = verify.compare(meant, stored, self.relation, frozenset(self.touched))
            if any(change.column not in announced for change in found):
                return False
        return True


class Settled(Struct, frozen=True):
    """A plan, and what healing does to every row of the shape: ``names`` maps keys to live columns (None: nothing is done),
    ``applied`` are the fixes as done to one row, ``head`` that row's receipt without its values."""

    plan: Plan
    vet: Vet
    names: dict[str, str] | None
    applied: tuple[Applied, ...] = ()
    head: str = ""
    healed: str = ""
    """the header Mendgate-Healed."""
    renamed: bytes = b""
    """the keys that are renamed, as JSON: with the row as sent it is what a receipt needs to tell the stored one."""

    def fitting(self, rows: tuple[Row, ...]) -> tuple[Row, ...] | None:
        """The rows under live names; None where a value needs a second look."""
        return quick.fitting(rows, self.names, self.vet)
