"""What the fix language could say about each misfit, as a closed list: the only ops that a model may choose from."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from msgspec import Struct

from healing.core import formats, labels
from healing.core.preconditions import writable
from healing.core.types import Json, Kind, Misfit, Operation, Statement
from schema_monitor.core.snapshot import Column, Relation, Snapshot

MOST_NAMES = 80
"""names in one list: what a model could not weigh anyway, and what a hostile schema could fill a prompt with."""


class Choice(Struct, frozen=True):
    """One op for one misfit. ``fixed`` are fields that are settled; ``open`` is the one to choose ('' = none) among ``among``.
    ``hidden`` are fixed fields that hold a value of the payload: the model does not see them."""

    misfit: str
    op: str
    fixed: Mapping[str, Json]
    open: str = ""
    among: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()


def choices(
    statement: Statement, misfits: tuple[Misfit, ...], relation: Relation | None, snapshot: Snapshot, claims: Iterable[str] = ()
) -> tuple[Choice, ...]:
    """Every choice for every misfit; a misfit without one cannot be settled by a fix."""
    if relation is None:
        return tuple(_tables(statement, misfits, snapshot))
    sent = {key for row in statement.rows for key in row} | set(statement.columns or ())
    free = tuple(c.name for c in relation.columns if c.name not in sent and writable(c.name, relation) is None)[:MOST_NAMES]
    scene = _Scene(statement, relation, snapshot, sent, free, tuple(claims))
    return tuple(choice for misfit in misfits for choice in _of(misfit, scene) if not choice.open or choice.among)


class _Scene(Struct, frozen=True):
    statement: Statement
    relation: Relation
    snapshot: Snapshot
    sent: set[str]
    free: tuple[str, ...]
    claims: tuple[str, ...]

    @property
    def inserts(self) -> bool:
        return self.statement.operation in (Operation.INSERT, Operation.UPSERT)


def _of(misfit: Misfit, scene: _Scene) -> Iterator[Choice]:
    signature, name = misfit.signature, misfit.column
    column = scene.relation.column(name)
    match misfit.kind:
        case Kind.UNKNOWN_COLUMN if name:
            yield Choice(signature, "rename_column", {"from": name}, "to", scene.free)
            yield Choice(signature, "rescue", {"column": name}, "into", _json_columns(scene))
            yield Choice(signature, "drop_key", {"column": name})
        case Kind.REUSED_NAME if column is not None:
            others = tuple(o for o in misfit.expected.split(", ") if o in scene.free)
            yield Choice(signature, "keep_name", {"column": name})
            yield Choice(signature, "rename_column", {"from": name}, "to", others)
        case Kind.UNKNOWN_LABEL if column is not None:
            known = labels.of(column, scene.relation, scene.snapshot.enums) or ()
            fixed = {"column": name, "from": misfit.value}
            yield Choice(signature, "map_value", fixed, "to", tuple(x for x in known if x != misfit.value)[:MOST_NAMES], ("from",))
        case Kind.MISSING_VALUE if column is not None:
            yield from _missing(signature, column, scene)
        case Kind.GENERATED if column is not None:
            yield Choice(signature, "drop_key", {"column": name})
        case Kind.TOO_LONG if column is not None and column.length is not None:
            yield Choice(signature, "truncate", {"column": name, "n": column.length})
        case Kind.RAGGED:
            yield Choice(signature, "split_batch", {})
        case Kind.INVALID_VALUE | Kind.OUT_OF_RANGE if column is not None:
            yield Choice(signature, "cast", {"column": name, "to": column.type}, "format", _formats(column, misfit))
            if misfit.value == "" and column.nullable:
                yield Choice(signature, "map_value", {"column": name, "from": "", "to": None})


def _missing(signature: str, column: Column, scene: _Scene) -> Iterator[Choice]:
    fixed = {"column": column.name}
    if scene.inserts or column.name in scene.sent:
        yield Choice(signature, "fill", fixed, "from_key", tuple(sorted(scene.sent - {column.name}))[:MOST_NAMES])
        yield Choice(signature, "fill", fixed, "claim", scene.claims)
    if column.name in scene.sent and (column.default is not None or column.identity):
        yield Choice(signature, "use_default", fixed)


def _json_columns(scene: _Scene) -> tuple[str, ...]:
    """Objects that a key could move into; an update would overwrite what they hold."""
    if scene.statement.operation is not Operation.INSERT:
        return ()
    return tuple(c.name for c in scene.relation.columns if c.base == "jsonb" and not c.array and writable(c.name, scene.relation) is None)


def _formats(column: Column, misfit: Misfit) -> tuple[str, ...]:
    """The formats that can read the value at hand."""
    return tuple(name for name, format_ in formats.FORMATS.items() if not isinstance(format_.read(misfit.value), formats.Unfit))


def _tables(statement: Statement, misfits: tuple[Misfit, ...], snapshot: Snapshot) -> Iterator[Choice]:
    served = [r.name for r in snapshot.relations.values() if r.schema == statement.schema and r.name != statement.table]
    for misfit in misfits:
        if misfit.kind is Kind.UNKNOWN_TABLE and served:
            yield Choice(misfit.signature, "rename_table", {"from": statement.table}, "to", tuple(sorted(served))[:MOST_NAMES])
