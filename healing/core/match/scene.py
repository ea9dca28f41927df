"""What is known around a misfit: the payload, the table, what is left over on both sides."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from itertools import islice

from msgspec import Struct

from healing.core.types import Json, Kind, Misfit, Operation, Statement
from schema_monitor.core.snapshot import Column, Relation, Snapshot

from .layout import Layout, Target, layout_of
from .names import Name, name_of
from .values import shape

MOST_KEYS = 100
"""unknown keys of one payload that are looked at: a hundred take 25 ms, in which the gateway serves nobody else"""


class Key(Struct, frozen=True):
    """An unknown key with one telling value of it."""

    text: str
    name: Name
    value: Json
    shape: str


class Scene(Struct, frozen=True):
    """Everything the matcher looks at for one statement."""

    layout: Layout
    relation: Relation
    snapshot: Snapshot
    keys: tuple[Key, ...]
    targets: tuple[Target, ...]
    """the columns that are free: the payload may set them and does not"""
    present: int
    """the places of the live columns that the payload already has, as bits."""
    row: Mapping[str, Json]
    """one telling value for each key of the payload."""
    inserts: bool
    sent: int
    """how many of the live columns the payload has."""
    former: tuple[str, ...] | None
    """the columns, in their order, that the table had when it had the key; None = unknown."""
    newer: frozenset[str] | None
    """Columns that the caller's schema cannot have known, where history tells; None = unknown."""


def labels_of(column: Column, relation: Relation, snapshot: Snapshot) -> tuple[str, ...] | None:
    """The values a column is limited to, by enum type or check list; None where it is free."""
    if column.enum is not None and column.enum in snapshot.enums:
        return tuple(label.name for label in snapshot.enums[column.enum].labels)
    for constraint in relation.constraints:
        if constraint.allowed is not None and constraint.columns == (column.attnum,):
            return constraint.allowed
    return None


def sample(statement: Statement) -> dict[str, Json]:
    """One row with the first value that says something for every key."""
    row: dict[str, Json] = {}
    for sent in statement.rows:
        for key, value in sent.items():
            if row.get(key) is None:
                row[key] = value
    return row


def scene_of(
    statement: Statement, misfits: tuple[Misfit, ...], relation: Relation, snapshot: Snapshot, former: tuple[str, ...] | None = None
) -> Scene:
    """Gathers what the matcher looks at. ``former`` counts only where it had one of the unknown keys: else the caller did not know it."""
    row = sample(statement)
    for name in statement.columns or ():
        row.setdefault(name, None)
    unknown = dict.fromkeys(m.column for m in misfits if m.kind is Kind.UNKNOWN_COLUMN)
    for misfit in misfits:
        if misfit.kind is Kind.UNKNOWN_COLUMN and row.get(misfit.column) is None:
            row[misfit.column] = misfit.value
    keys = tuple([Key(k, name_of(k), row.get(k), shape(row.get(k))) for k in islice(unknown, MOST_KEYS)])
    inserts = statement.operation in (Operation.INSERT, Operation.UPSERT)
    known = former is not None and any(key.text in former for key in keys)
    layout = layout_of(relation)
    places = layout.places
    return Scene(
        layout=layout,
        relation=relation,
        snapshot=snapshot,
        keys=keys,
        targets=tuple([t for t in (layout.targets if inserts else layout.updated) if t.column.name not in row]),
        present=sum([1 << places[key] for key, value in row.items() if value is not None and key in places]),
        row=row,
        inserts=inserts,
        sent=len(places.keys() & row.keys()),
        former=former if known else None,
        newer=frozenset(layout.names).difference(former) if known and former is not None else None,
    )


@lru_cache(maxsize=8)
def _table_words(names: frozenset[str]) -> frozenset[tuple[str, ...]]:
    return frozenset(name_of(name).stems for name in names)


def other_entity(key: Name, column: Name, scene: Scene) -> str:
    """Why the two ids point to different things: the key's words are one table, the column's are another; '' where nothing says so."""
    if key.words[-1:] != ("id",) or column.words[-1:] != ("id",) or key.stems == column.stems:
        return ""
    mine, theirs = key.stems[:-1], column.stems[:-1]
    tables = _table_words(frozenset([r.name for r in scene.snapshot.relations.values()]))
    if mine in tables and theirs in tables:
        return f"there is a table for {' '.join(key.words[:-1])} and another for {' '.join(column.words[:-1])}"
    return ""
