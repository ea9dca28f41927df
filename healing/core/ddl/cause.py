"""A cause of quarantine, taken apart again: the misfits that its signature names, and the rows that wait."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cached_property

from msgspec import Struct

from healing.core.signature import read, read_label, split
from healing.core.types import Json, Kind, Row
from healing.core.values import as_text

_KINDS = {str(kind): kind for kind in Kind}


class Part(Struct, frozen=True):
    """One misfit of a signature. ``value`` only where it is part of it (a label)."""

    kind: Kind
    column: str
    value: str
    signature: str


def parts_of(signature: str) -> tuple[Part, ...]:
    """The misfits that a joined signature names; what cannot be read is ``Kind.OTHER``, which nothing is proposed for."""
    return tuple(_part(text) for text in split(signature) if text)


def _part(text: str) -> Part:
    kind, rest = read(text)
    found = _KINDS.get(kind, Kind.OTHER)
    if found is Kind.UNKNOWN_LABEL:
        column, value = read_label(rest)
        return Part(found, column, value, text)
    return Part(found, rest, "", text)


class Cause(Struct, frozen=True, dict=True):
    """What waits for one reason. ``rows`` are those of every kept write to the table, whoever sent it and whatever else was wrong with it:
    what a key holds is learned from all of them. ``own`` are the rows of this very cause."""

    schema: str
    table: str
    signature: str
    rows: tuple[Row, ...] = ()
    own: tuple[Row, ...] = ()
    senders: Mapping[str, int] = {}
    """key -> how many callers sent it in the last days, as far as it is known."""

    @cached_property
    def parts(self) -> tuple[Part, ...]:
        """The misfits. A key or a value may hold what separates misfits: where one names what no row has, none is believed."""
        parts = parts_of(self.signature)
        if all(self._has(part) for part in parts):
            return parts
        return (Part(Kind.OTHER, "", "", self.signature),)

    def _has(self, part: Part) -> bool:
        if not self.own or part.kind not in (Kind.UNKNOWN_COLUMN, Kind.UNKNOWN_LABEL):
            return True
        if part.kind is Kind.UNKNOWN_COLUMN:
            return any(part.column in row for row in self.own)
        return any(part.value in _texts(value) for row in self.own for value in row.values())

    def values(self, key: str) -> list[Json]:
        """Everything that was sent under the key, null included."""
        return [row[key] for row in self.rows if key in row]

    def of(self, *kinds: Kind) -> tuple[Part, ...]:
        """The misfits of these kinds."""
        return tuple(part for part in self.parts if part.kind in kinds)


def _texts(value: Json) -> list[str]:
    items = value if isinstance(value, list) else [value]
    return [text for item in items for text in (str(item), as_text(item))]


def count(values: Iterable[Json]) -> int:
    """How many are no null."""
    return sum(value is not None for value in values)
