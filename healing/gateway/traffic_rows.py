"""Counters of requests as rows for the control database. Pure: what was counted, and the catalog to understand it by."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from hashlib import sha256
from typing import TypeVar

from msgspec import Struct, field

from healing.gateway.settled import Place
from healing.gateway.state import State
from schema_monitor.core.lineage import Renamed
from schema_monitor.core.snapshot import Function, Relation

K = TypeVar("K")
V = TypeVar("V")
Label = tuple[int, str, str | None, str]
"""oid of the enum, former label, key, role"""
ShapeKey = tuple[int, str, str, str | None, str, str]
UseKey = tuple[str, int, int, int, int, str, str | None, str]

MOST_SHAPES = 100
"""Shapes of one caller on one relation with one operation in one flush; what is more is counted together, as ``…``."""
LONGEST = 63
OTHERS = ("…",)


class Count(Struct):
    """What was counted for one shape. ``thing`` is the relation as the requests met it, or the function."""

    thing: Relation | Function
    requests: int = 0
    rows: int = 0
    misfits: int = 0
    healed: int = 0


class ShapeRow(Struct):
    """One row of ``PayloadShape`` without its hour."""

    schema: str
    relation_oid: int
    name: str
    operation: str
    key: str | None
    caller: str
    role: str
    keys: tuple[str, ...]
    named: tuple[str, ...]
    shape: str
    requests: int = 0
    rows: int = 0
    misfits: int = 0
    healed: int = 0


class UseRow(Struct):
    """One row of ``OldNameUse`` without its day."""

    schema: str
    relation_oid: int
    attnum: int
    enum_oid: int
    label_oid: int
    name: str
    key: str | None
    caller: str
    role: str
    uses: int = 0


class Rows(Struct):
    """What waits to be stored. ``lost`` requests were not counted by shape."""

    shapes: dict[ShapeKey, ShapeRow] = field(default_factory=dict)
    uses: dict[UseKey, UseRow] = field(default_factory=dict)
    lost: int = 0

    @property
    def empty(self) -> bool:
        """Whether nothing waits."""
        return not (self.shapes or self.uses or self.lost)

    @property
    def requests(self) -> int:
        """How many requests are in it."""
        return sum(row.requests for row in self.shapes.values())

    def add(self, more: Rows, most: int) -> None:
        """Takes more rows in; new ones beyond ``most`` are lost."""
        for key, row in more.shapes.items():
            if key in self.shapes or len(self.shapes) < most:
                _put(self.shapes, row)
            else:
                self.lost += row.requests
        for use_key, use in more.uses.items():
            if use_key in self.uses:
                self.uses[use_key].uses += use.uses
            elif len(self.uses) < most:
                self.uses[use_key] = use
        self.lost += more.lost

    def take(self, most: int) -> Rows:
        """So many of them, at most, and what was lost; they do not wait any more."""
        taken = Rows(_taken(self.shapes, most), _taken(self.uses, most), self.lost)
        self.lost = 0
        return taken


def _taken(rows: dict[K, V], most: int) -> dict[K, V]:
    return dict([rows.popitem() for _ in range(min(most, len(rows)))])


def rows_of(counts: Mapping[Place, Count], labels: Mapping[Label, int], state: State) -> Rows:
    """The rows for what was counted. Former names are found by lineage: a name that the relation does not have, and that exactly one
    living column of it had."""
    rows, callers = Rows(), {key.id: key.name for key in state.keys.values()}
    kinds: dict[tuple[object, ...], set[str]] = {}
    for place, count in counts.items():
        row = _shape_row(place, count, callers)
        seen = kinds.setdefault((row.relation_oid, row.operation, row.key, row.role), set())
        if len(seen) >= MOST_SHAPES and row.shape not in seen:
            row.keys, row.named, row.shape = OTHERS, (), digest(OTHERS, ())
        seen.add(row.shape)
        _put(rows.shapes, row)
        _note_uses(rows, place, count, state, row)
    for (enum, label, key, role), uses in labels.items():
        _note_label(rows, (enum, label, key, role), uses, state, callers)
    return rows


def digest(keys: Iterable[str], named: Iterable[str]) -> str:
    """A short name for a shape."""
    return sha256("\n".join([*sorted(keys), "", *sorted(named)]).encode()).hexdigest()[:32]


def _shape_row(place: Place, count: Count, callers: Mapping[str, str]) -> ShapeRow:
    oid, _, sent, operation, key, role, keys, named = place
    keys, named, shape = _described(keys, named)
    caller = callers.get(key or "", role)[:100]
    totals = (count.requests, count.rows, count.misfits, count.healed)
    thing = count.thing
    return ShapeRow(thing.schema, oid, plain(sent), operation, key, caller, role, keys, named, shape, *totals)


@lru_cache(maxsize=4096)
def _described(keys: tuple[str, ...], named: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...], str]:
    """Both as they are stored, and their digest: the same for every caller."""
    keys, named = _plain_names(keys), _plain_names(named)
    return keys, named, digest(keys, named)


def _put(shapes: dict[ShapeKey, ShapeRow], row: ShapeRow) -> None:
    key = _shape_key(row)
    known = shapes.get(key)
    if known is None:
        shapes[key] = row
    else:
        _add_up(known, row)


def _shape_key(row: ShapeRow) -> ShapeKey:
    return (row.relation_oid, row.name, row.operation, row.key, row.role, row.shape)


def _add_up(known: ShapeRow, more: ShapeRow) -> None:
    known.requests += more.requests
    known.rows += more.rows
    known.misfits += more.misfits
    known.healed += more.healed
    known.caller = more.caller


def _note_uses(rows: Rows, place: Place, count: Count, state: State, row: ShapeRow) -> None:
    relation = count.thing
    if not isinstance(relation, Relation):
        return
    for schema, name in state.lineage.relations.names.get(relation.oid, ()):
        if name == place[2] != relation.name:
            _use(rows, UseRow(schema, relation.oid, 0, 0, 0, name, row.key, row.caller, row.role, count.requests))
    for name in {*place[6], *place[7]}:
        if name == "*" or relation.column(name) is not None:
            continue
        match state.lineage.resolve_column(relation, name):
            case Renamed(column):
                use = UseRow(relation.schema, relation.oid, column.attnum, 0, 0, plain(name), row.key, row.caller, row.role, count.requests)
                _use(rows, use)


def _note_label(rows: Rows, label: Label, uses: int, state: State, callers: Mapping[str, str]) -> None:
    oid, name, key, role = label
    enum = state.snapshot.enums.get(oid)
    match enum and state.lineage.resolve_label(enum, name):
        case Renamed(found):
            assert enum is not None
            caller = callers.get(key or "", role)[:100]
            _use(rows, UseRow(enum.schema, 0, 0, oid, found.oid, plain(name), key, caller, role, uses))


def _use(rows: Rows, use: UseRow) -> None:
    place = (use.schema, use.relation_oid, use.attnum, use.enum_oid, use.label_oid, use.name, use.key, use.role)
    rows.add(Rows(uses={place: use}), len(rows.uses) + 1)


def _plain_names(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(sorted({plain(name) for name in names}))


def plain(name: str) -> str:
    """A name that the database can store: longer ones are no column's, nor are those with a NUL or half a character."""
    sound = name.replace("\0", "�").encode("utf-8", "replace").decode()
    return sound if len(sound) <= LONGEST else sound[: LONGEST - 1] + "…"
