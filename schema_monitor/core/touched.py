"""What a change is about, by identity in the catalog before it: tables, their columns, functions."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from schema_monitor.core.changes import Change
from schema_monitor.core.snapshot import Relation, Snapshot

_COLUMN_KINDS = ("column_", "type_", "not_null_", "default_", "required_", "generation_")
_CONSTRAINT_KINDS = ("unique_", "index_", "foreign_key_", "check_", "exclusion_")
_ENUM_KINDS = ("label_", "enum_")


class Thing(Struct, frozen=True):
    """A table as it was, the columns (attnums) that the change concerns, and whether one that is left out fills itself."""

    change: Change
    relation: Relation
    attnums: frozenset[int] = frozenset()
    filled: bool = False


def things_of(change: Change, old: Snapshot, new: Snapshot) -> tuple[Thing, ...]:
    """The tables that the change concerns. None for functions, and for what is new."""
    if change.kind.startswith(_ENUM_KINDS):
        return tuple(_of_enum(change, old, new))
    relation = relation_of(change, old, new)
    if relation is None:
        return ()
    after = new.relations.get(relation.oid)
    if change.kind.startswith(_CONSTRAINT_KINDS) or change.kind == "primary_key_changed":
        return (Thing(change, relation, _constrained(change, relation, after)),)
    if change.kind.startswith(_COLUMN_KINDS) and change.object:
        return (_of_column(change, relation, after),)
    return (Thing(change, relation),)


def relation_of(change: Change, old: Snapshot, new: Snapshot) -> Relation | None:
    """The relation before the change. Names in a change are the new ones, but for what was removed or replaced."""
    before, after = old.named(change.schema, change.relation), new.named(change.schema, change.relation)
    if change.kind not in ("table_removed", "table_replaced"):
        for relation in after:
            if old.scope == new.scope and relation.oid in old.relations:
                return old.relations[relation.oid]
    return before[0] if before else None


def functions_of(change: Change, old: Snapshot, new: Snapshot) -> frozenset[int]:
    """The functions (oids before it) that a change of one concerns."""
    if not change.kind.startswith("function_"):
        return frozenset()
    place = (change.schema, change.relation)
    now = {f.oid for f in new.functions.values() if (f.schema, f.name) == place}
    return frozenset(f.oid for f in old.functions.values() if (f.schema, f.name) == place or f.oid in now)


def _of_column(change: Change, relation: Relation, after: Relation | None) -> Thing:
    now = after.column(change.object) if after is not None else None
    same = now is not None and relation.by_attnum(now.attnum) is not None
    before = relation.by_attnum(now.attnum) if now is not None and same else relation.column(change.object)
    if before is None and isinstance(change.old, str):
        before = relation.column(change.old)
    filled = now is not None and (now.default is not None or bool(now.identity) or bool(now.generated))
    return Thing(change, relation, frozenset() if before is None else frozenset({before.attnum}), filled)


def _constrained(change: Change, relation: Relation, after: Relation | None) -> frozenset[int]:
    """The columns of the constraint or unique index of that name, before and after. None known = any may be meant."""
    found: set[int] = set()
    for side in (relation, after or relation):
        for constraint in side.constraints:
            if constraint.name == change.object or (change.kind == "primary_key_changed" and constraint.kind == "p"):
                found.update(constraint.columns)
        for index in (*side.unique_indexes, *side.indexes):
            if index.name == change.object:
                found.update(index.columns)
    return frozenset(attnum for attnum in found if attnum > 0)


def _of_enum(change: Change, old: Snapshot, new: Snapshot) -> Iterator[Thing]:
    """Every table with columns of that type."""
    place = (change.schema, change.relation)
    enums = {enum.oid for side in (old, new) for enum in side.enums.values() if (enum.schema, enum.name) == place}
    for relation in old.relations.values():
        columns = frozenset(column.attnum for column in relation.columns if column.enum in enums)
        if columns:
            yield Thing(change, relation, columns)
