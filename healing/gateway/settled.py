"""What is settled about inserts of one shape: plain values, as true as the ``State`` that remembers them. ``settle`` makes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from msgspec import Struct

from healing.core import verify
from healing.core.mend import Applied
from healing.core.types import Change, Json, Row
from healing.core.vet import Accepted
from healing.gateway.answer import Answer
from healing.gateway.coalesce import Lane
from schema_monitor.core.snapshot import Relation

Place = tuple[int, str, str, str, str | None, str, tuple[str, ...], tuple[str, ...]]
"""Where traffic is counted: oid, fingerprint, name as sent, operation, key, role, payload keys, names elsewhere"""
_MISSING: Final[Json] = ("no such key",)  # no JSON value is equal to it


class Plan(Struct, frozen=True):
    """How rows with certain keys go through a lane. ``touched`` are the live columns that a fix wrote to: these are read back. Without
    an insert trigger the others cannot differ. ``answer`` is what is answered but for the body, where rows are ``shown``."""

    relation: Relation
    lane: Lane
    shown: Literal["", "array", "object"]
    touched: tuple[str, ...]
    named: tuple[str, ...]
    """the names, as sent, that the answer shows."""
    answer: Answer

    def as_meant(self, meant: Sequence[Json], stored: Sequence[Json], changes: Sequence[Change] = ()) -> bool:
        """Whether the healed columns of rows (see ``values_of``) were stored as meant, in other words maybe. Anything that differs
        otherwise than ``changes`` announce is for the slow path to look at."""
        announced = {change.column for change in changes}
        for row, back in zip(meant, stored, strict=True):
            if row == back:
                continue
            found = verify.compare(self._named(row), self._named(back), self.relation, frozenset(self.touched))
            if row == _MISSING or any(change.column not in announced for change in found):
                return False
        return True

    def _named(self, values: Json) -> Row:
        each = [values] if len(self.touched) == 1 else values
        return dict(zip(self.touched, each, strict=True)) if isinstance(each, list) else {}


class Heal(Struct, frozen=True):
    """What healing does to every row of a shape: ``applied`` as done to one row, ``head`` that row's receipt without its values,
    ``told`` the end of these values, ``keys`` the plan's touched columns as they are sent."""

    applied: tuple[Applied, ...]
    head: str
    told: bytes
    keys: tuple[str, ...]


class Settled(Struct, frozen=True):
    """A plan for rows as they are sent, with what is fine by key and what is answered and counted for one row. ``heal`` is None where
    nothing is done."""

    plan: Plan
    accepts: dict[str, Accepted]
    answer: Answer
    place: Place
    heal: Heal | None = None


def values_of(rows: Sequence[Row], keys: tuple[str, ...]) -> list[Json]:
    """Of each row the value of the one key, or a list of them: as a lane reads it back."""
    if len(keys) == 1:
        (key,) = keys
        return [row.get(key, _MISSING) for row in rows]
    return [[row[key] for key in keys] if all([key in row for key in keys]) else _MISSING for row in rows]
