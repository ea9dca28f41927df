"""What is known around a misfit: the payload, the table, what is left over on both sides."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from msgspec import Struct

from healing.core.types import Json, Kind, Misfit, Operation, Statement
from schema_monitor.core.snapshot import Column, Relation, Snapshot

from .names import Name, name_of
from .values import family, shape

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


class Target(Struct, frozen=True):
    """A column that a key may be meant for."""

    column: Column
    name: Name
    family: str
    required: bool
    labels: tuple[str, ...] | None
    housekeeping: bool


class Key(Struct, frozen=True):
    """An unknown key with one telling value of it."""

    text: str
    name: Name
    value: Json
    shape: str


class Scene(Struct, frozen=True):
    """Everything the matcher looks at for one statement."""

    table: Name
    keys: tuple[Key, ...]
    targets: tuple[Target, ...]
    present: Mapping[str, tuple[Name, ...]]
    """names of the live columns that the payload already has, by each of their stems."""
    row: Mapping[str, Json]
    """one telling value for each key of the payload."""
    inserts: bool
    catch_all: str | None
    """a jsonb column that takes what has no column of its own."""
    vocabulary: Mapping[str, int]
    """in how many columns of the table each word (its stem) is used."""
    tables: frozenset[tuple[str, ...]] = frozenset()
    """the exposed tables' names in words, singular: what an ``…_id`` may point to."""
    columns: tuple[str, ...] = ()
    """names of the live columns, in their order."""
    sent: int = 0
    """how many of them the payload has."""
    former: tuple[str, ...] | None = None
    """the columns, in their order, that the table had when it had the key; None = unknown."""

    @property
    def newer(self) -> frozenset[str] | None:
        """Columns that the caller's schema cannot have known, where history tells; None = unknown."""
        return None if self.former is None else frozenset(self.columns) - frozenset(self.former)


def labels_of(column: Column, relation: Relation, snapshot: Snapshot) -> tuple[str, ...] | None:
    """The values a column is limited to, by enum type or check list; None where it is free."""
    if column.enum is not None and column.enum in snapshot.enums:
        return tuple(label.name for label in snapshot.enums[column.enum].labels)
    for constraint in relation.constraints:
        if constraint.allowed is not None and constraint.columns == (column.attnum,):
            return constraint.allowed
    return None


def writable(column: Column) -> bool:
    """False for columns that a payload may never set."""
    return not column.generated and column.identity != "a"


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
    keys = tuple(Key(k, name_of(k), row.get(k), shape(row.get(k))) for k in unknown)
    inserts = statement.operation in (Operation.INSERT, Operation.UPSERT)
    return Scene(
        table=name_of(relation.name),
        keys=keys,
        targets=tuple(_target(c, relation, snapshot, row, inserts) for c in relation.columns if _free(c, row)),
        present=_by_stem(name_of(c.name) for c in relation.columns if row.get(c.name) is not None),
        row=row,
        inserts=inserts,
        catch_all=_catch_all(relation),
        vocabulary=vocabulary(relation),
        tables=_table_words(tuple(sorted(r.name for r in snapshot.relations.values()))) if keys else frozenset(),
        columns=tuple(c.name for c in relation.columns),
        sent=sum(c.name in row for c in relation.columns),
        former=former if former is not None and any(key.text in former for key in keys) else None,
    )


@lru_cache(maxsize=512)
def _vocabulary(names: tuple[str, ...]) -> Mapping[str, int]:
    return Counter(word for name in names for word in set(name_of(name).stems))


def vocabulary(relation: Relation) -> Mapping[str, int]:
    """In how many columns each word is used."""
    return _vocabulary(tuple(c.name for c in relation.columns))


@lru_cache(maxsize=8)
def _table_words(names: tuple[str, ...]) -> frozenset[tuple[str, ...]]:
    return frozenset(name_of(name).stems for name in names)


def other_entity(key: Name, column: Name, scene: Scene) -> str:
    """Why the two ids point to different things: the key's words are one table, the column's are another; '' where nothing says so."""
    if key.words[-1:] != ("id",) or column.words[-1:] != ("id",) or key.stems == column.stems:
        return ""
    mine, theirs = key.stems[:-1], column.stems[:-1]
    if mine in scene.tables and theirs in scene.tables:
        return f"there is a table for {' '.join(key.words[:-1])} and another for {' '.join(column.words[:-1])}"
    return ""


def _by_stem(names: Iterable[Name]) -> Mapping[str, tuple[Name, ...]]:
    found: dict[str, tuple[Name, ...]] = {}
    for name in names:
        for word in set(name.stems):
            found[word] = (*found.get(word, ()), name)
    return found


def _free(column: Column, row: Mapping[str, Json]) -> bool:
    return writable(column) and column.name not in row


def _target(column: Column, relation: Relation, snapshot: Snapshot, row: Mapping[str, Json], inserts: bool) -> Target:
    required = inserts and not column.nullable and column.default is None and not column.identity
    return Target(
        column,
        name_of(column.name),
        family(column.base, column.array, column.enum is not None),
        required,
        labels_of(column, relation, snapshot),
        column.name in ("id", "created_at", "updated_at", "created_on", "updated_on", "deleted_at", "inserted_at"),
    )


def _catch_all(relation: Relation) -> str | None:
    """The jsonb column that looks made for leftovers, by its name."""
    free = [c.name for c in relation.columns if c.base == "jsonb" and not c.array and writable(c)]
    for name in _CATCH_ALLS:
        for column in free:
            if column == name or column.endswith("_" + name):
                return column
    return None
