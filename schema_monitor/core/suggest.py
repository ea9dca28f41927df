"""A column that went and one that came in the same table at once may be a rename in disguise. Nothing proves it: a person decides."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from schema_monitor.core.snapshot import Column, Relation, Snapshot
from schema_monitor.core.widening import widens


class Suggested(Struct, frozen=True):
    """``gone`` was dropped from the table (as it is now), and each of ``came`` could have taken its values."""

    relation: Relation
    gone: Column
    came: tuple[Column, ...]


def suggested_renames(old: Snapshot, new: Snapshot) -> tuple[Suggested, ...]:
    """What may have been renamed between two snapshots of one scope by drop and add."""
    if old.scope != new.scope:
        return ()
    pairs = ((old.relations.get(oid), relation) for oid, relation in new.relations.items())
    return tuple(found for before, after in pairs if before is not None and new.serves(after) for found in _within(before, after))


def _within(before: Relation, after: Relation) -> Iterator[Suggested]:
    if before is after or (before.fingerprint and before.fingerprint == after.fingerprint) or after.kind not in ("r", "p", "f"):
        return
    came = [column for column in after.columns if before.by_attnum(column.attnum) is None and not column.generated]
    for gone in before.columns if came else ():
        if after.by_attnum(gone.attnum) is None and after.column(gone.name) is None:
            fitting = tuple(column for column in came if column.identity != "a" and widens(gone, column))
            if fitting:
                yield Suggested(after, gone, fitting)
