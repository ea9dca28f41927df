"""A table taken apart once: its columns as a key may be meant for them, on shelves where their words are found."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from msgspec import Struct
from msgspec.structs import asdict, replace

from schema_monitor.core.snapshot import Column, Relation

from .names import name_of
from .reading import Reading
from .shelves import Shelves, shelved
from .values import family

_CATCH_ALLS = (
    "metadata",
    "meta",
    "attributes",
    "extra",
    "data",
    "details",
    "properties",
    "custom_fields",
    "additional_data",
    "extra_data",
    "payload",
    "context",
)
_HOUSEKEEPING = frozenset(("id", "created_at", "updated_at", "created_on", "updated_on", "deleted_at", "inserted_at"))
_MOST_TABLES = 256
"""that are remembered in a process"""


class Target(Struct, frozen=True, gc=False, eq=False):
    """A column that a key may be meant for. ``place``: where it stands in the table; ``kinds``: what the model weighs of the column
    alone, in the order of ``KINDS``."""

    column: Column
    place: int
    reading: Reading
    family: str
    required: bool
    housekeeping: bool
    kinds: tuple[float, ...]


KINDS = (
    "required",
    "housekeeping",
    "has_default",
    "is_text",
    "is_json",
    "is_bool",
    "is_array",
    "is_id",
    "is_moment",
    "is_number",
)


class Layout(Shelves, frozen=True, eq=False):
    """The live columns in their order. ``targets``: those that a payload may set, for an insert; ``updated``: for an update."""

    targets: tuple[Target, ...]
    updated: tuple[Target, ...]
    catch_all: str | None
    """a jsonb column that takes what has no column of its own."""


_LAYOUTS: dict[int, tuple[Relation, Layout]] = {}
"""by the relation's ``id``, which no other can have as long as it is held here."""


def layout_of(relation: Relation) -> Layout:
    """Taken apart once for each table, however often its relation is read anew; nothing is compared where it is the same object."""
    found = _LAYOUTS.get(id(relation))
    if found is None:
        if len(_LAYOUTS) >= _MOST_TABLES:
            _LAYOUTS.clear()
        found = _LAYOUTS[id(relation)] = (relation, taken_apart(relation.name, relation.columns))
    return found[1]


@lru_cache(maxsize=_MOST_TABLES)
def taken_apart(table: str, columns: tuple[Column, ...]) -> Layout:
    """The layout of a table with these columns."""
    shelves = shelved(tuple([c.name for c in columns]), name_of(table))
    targets = tuple([_target(c, place, shelves.readings[place]) for place, c in enumerate(columns) if writable(c)])
    return Layout(**asdict(shelves), targets=targets, updated=tuple(map(_optional, targets)), catch_all=_catch_all(columns))


def _target(column: Column, place: int, reading: Reading) -> Target:
    """As an insert sees it."""
    kind = family(column.base, column.array, column.enum is not None)
    required = not column.nullable and column.default is None and not column.identity
    housekeeping = column.name in _HOUSEKEEPING
    kinds = (
        required,
        housekeeping,
        column.default is not None,
        kind in ("text", "label"),
        kind == "json",
        kind == "bool",
        kind == "array",
        kind == "uuid" or reading.name.words[-1:] == ("id",),
        kind in ("moment", "date", "time"),
        kind in ("int", "number"),
    )
    return Target(column, place, reading, kind, required, housekeeping, tuple(map(float, kinds)))


def _optional(target: Target) -> Target:
    """As an update sees it: nothing must be there."""
    return replace(target, required=False, kinds=(0.0, *target.kinds[1:])) if target.required else target


def writable(column: Column) -> bool:
    """False for columns that a payload may never set."""
    return not column.generated and column.identity != "a"


def _catch_all(columns: Iterable[Column]) -> str | None:
    """The jsonb column that looks made for leftovers, by its name."""
    free = [c.name for c in columns if c.base == "jsonb" and not c.array and writable(c)]
    for name in _CATCH_ALLS:
        for column in free:
            if column == name or column.endswith("_" + name):
                return column
    return None
