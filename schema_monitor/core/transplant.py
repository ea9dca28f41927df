"""What a change that was tried on a copy would make of the original.

A copy has oids and attnums of its own, and lacks what could not be rebuilt. So the copy is read twice, before and after the change, and
only what differs between the two is carried over: ``transplant(live, before, after)`` is ``live`` with that difference, in ``live``'s
identities. What is new gets numbers that no live thing has.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from schema_monitor.core.diff_access import grants
from schema_monitor.core.fingerprint import snapshot_fingerprint, stamped
from schema_monitor.core.snapshot import Column, Constraint, EnumLabel, EnumType, Function, Index, Relation, Snapshot

T = TypeVar("T")
_NEW_OID = 1 << 33
_NEW_ATTNUM = 10_000
_SCALARS = ("schema", "name", "kind", "insertable", "updatable", "deletable", "row_security", "force_row_security", "comment")
_COLUMN = tuple(name for name in Column.__struct_fields__ if name not in ("attnum", "enum"))


class Numbers(Struct, frozen=True):
    """From the copy's identities to the original's."""

    relations: dict[int, int]
    enums: dict[int, int]
    labels: dict[int, int]
    columns: dict[int, dict[int, int]]
    """by the copy's relation"""

    @classmethod
    def of(cls, live: Snapshot, before: Snapshot) -> Numbers:
        """Matched by name: the copy was made with the original's names."""
        relations, columns = {}, {}
        for relation in before.relations.values():
            for twin in live.named(relation.schema, relation.name):
                relations[relation.oid] = twin.oid
                columns[relation.oid] = {c.attnum: there.attnum for c in relation.columns if (there := twin.column(c.name)) is not None}
        namesakes = {(enum.schema, enum.name): enum for enum in live.enums.values()}
        enums, labels = {}, {}
        for enum in before.enums.values():
            if (same := namesakes.get((enum.schema, enum.name))) is not None:
                enums[enum.oid] = same.oid
                by_name = {label.name: label.oid for label in same.labels}
                labels.update({label.oid: by_name[label.name] for label in enum.labels if label.name in by_name})
        return cls(relations, enums, labels, columns)

    def relation(self, oid: int) -> int:
        """The original's oid, or a new one."""
        return self.relations.get(oid, oid + _NEW_OID)

    def enum(self, oid: int | None) -> int | None:
        """The same of an enum."""
        return None if oid is None else self.enums.get(oid, oid + _NEW_OID)

    def attnum(self, relation: int, attnum: int) -> int:
        """The same of a column of the copy's relation; 0 (an expression) and below stay."""
        return attnum if attnum <= 0 else self.columns.get(relation, {}).get(attnum, attnum + _NEW_ATTNUM)

    def attnums(self, relation: int, attnums: Iterable[int]) -> tuple[int, ...]:
        """Several."""
        return tuple(self.attnum(relation, n) for n in attnums)


def transplant(live: Snapshot, before: Snapshot, after: Snapshot) -> Snapshot:
    """The original as it would be after the change."""
    numbers = Numbers.of(live, before)
    gone = {numbers.relations[oid] for oid in before.relations.keys() - after.relations.keys() if oid in numbers.relations}
    relations = {oid: relation for oid, relation in live.relations.items() if oid not in gone}
    for oid, relation in after.relations.items():
        old = before.relations.get(oid)
        if old is None or old.fingerprint != relation.fingerprint:
            changed = _relation(live.relations.get(numbers.relation(oid)), old, relation, numbers)
            relations[changed.oid] = changed
    enums = _enums(live, before, after, numbers)
    functions = _functions(live, before, after, numbers)
    made = replace(live, relations=relations, enums=enums, functions=functions, fingerprint="")
    return replace(made, fingerprint=snapshot_fingerprint(made))


def _relation(live: Relation | None, before: Relation | None, after: Relation, numbers: Numbers) -> Relation:
    moved = _moved(after, numbers)
    if live is None or before is None:
        return stamped(moved)
    was = _moved(before, numbers)
    fields: dict[str, Any] = {name: _picked(getattr(live, name), getattr(before, name), getattr(after, name)) for name in _SCALARS}
    old_columns = {column.attnum: column for column in was.columns}
    columns = tuple(_column(live.by_attnum(c.attnum), old_columns.get(c.attnum), c) for c in moved.columns)
    present = {column.attnum for column in columns}
    return stamped(
        replace(
            live,
            **fields,
            columns=tuple(sorted(columns, key=lambda c: c.attnum)),
            constraints=_kept(live.constraints, was.constraints, moved.constraints, present),
            unique_indexes=_kept(live.unique_indexes, was.unique_indexes, moved.unique_indexes, present),
            policies=tuple(sorted(_merged(live.policies, was.policies, moved.policies))),
            triggers=_merged(live.triggers, was.triggers, moved.triggers),
            has_before_triggers=_picked(live.has_before_triggers, was.has_before_triggers, moved.has_before_triggers),
            runs_also=_picked(live.runs_also, was.runs_also, moved.runs_also),
            view_columns=_picked(live.view_columns, was.view_columns, moved.view_columns),
            acl=_acl(live.acl, was.acl, moved.acl),
        )
    )


def _picked(live: T, before: T, after: T) -> T:
    return live if before == after else after


def _column(live: Column | None, before: Column | None, after: Column) -> Column:
    if live is None or before is None:
        return after
    fields = {name: _picked(getattr(live, name), getattr(before, name), getattr(after, name)) for name in (*_COLUMN, "enum")}
    return replace(live, **fields)


def _moved(relation: Relation, numbers: Numbers) -> Relation:
    """A relation of the copy in the original's numbers."""
    oid = relation.oid

    def constraint(each: Constraint) -> Constraint:
        there = None if each.references is None else numbers.relation(each.references)
        far = numbers.attnums(each.references or 0, each.referenced_columns)
        columns = numbers.attnums(oid, each.columns)
        return replace(each, oid=each.oid + _NEW_OID, columns=columns, references=there, referenced_columns=far)

    def index(each: Index) -> Index:
        return replace(each, oid=each.oid + _NEW_OID, columns=numbers.attnums(oid, each.columns))

    return replace(
        relation,
        oid=numbers.relation(oid),
        columns=tuple(replace(c, attnum=numbers.attnum(oid, c.attnum), enum=numbers.enum(c.enum)) for c in relation.columns),
        constraints=tuple(constraint(each) for each in relation.constraints),
        unique_indexes=tuple(index(each) for each in relation.unique_indexes),
        view_columns=tuple(
            (numbers.attnum(oid, here), numbers.relation(to), numbers.attnum(to, n)) for here, to, n in relation.view_columns
        ),
    )


C = TypeVar("C", Constraint, Index)


def _kept(live: tuple[C, ...], before: tuple[C, ...], after: tuple[C, ...], present: set[int]) -> tuple[C, ...]:
    """The original's constraints (or indexes) without what went, with what came. One that only changed (its name, its text after a
    rename) keeps the original's identity."""
    old, new = {_identity(each): each for each in before}, {_identity(each): each for each in after}
    by_name = {each.name: each for each in live}
    counterparts = {name: key for key, each in old.items() if (name := each.name) in by_name}
    found: list[C] = []
    for each in live:
        key = counterparts.get(each.name)
        if key is None:
            if present.issuperset(n for n in each.columns if n > 0):
                found.append(each)  # could not be rebuilt on the copy, so nothing is known against it
        elif key in new:
            found.append(each if new[key] == old[key] else replace(new[key], oid=each.oid))
    found += [each for key, each in new.items() if key not in old]
    return tuple(sorted(found, key=lambda each: each.oid))


def _identity(each: Constraint | Index) -> tuple[int, tuple[int, ...]]:
    """A domain's check stands once for each column."""
    return (each.oid, each.columns)


def _merged(live: tuple[str, ...], before: tuple[str, ...], after: tuple[str, ...]) -> tuple[str, ...]:
    gone, come = set(before) - set(after), [line for line in after if line not in before]
    return (*(line for line in live if line not in gone), *come)


def _acl(live: str, before: str, after: str) -> str:
    if before == after:
        return live
    kept = (grants(live) - (grants(before) - grants(after))) | (grants(after) - grants(before))
    given: dict[str, dict[str, str]] = {}
    for column, grantee, letter in sorted(kept):
        items = given.setdefault(column, {})
        items[grantee] = items.get(grantee, "") + letter
    lines = {column: ",".join(f"{who}={letters}/-" for who, letters in items.items()) for column, items in given.items()}
    return "".join([lines.pop("", ""), *(f"\n{column}:{{{items}}}" for column, items in sorted(lines.items()))])


def _enums(live: Snapshot, before: Snapshot, after: Snapshot, numbers: Numbers) -> dict[int, EnumType]:
    gone = {numbers.enums[oid] for oid in before.enums.keys() - after.enums.keys() if oid in numbers.enums}
    enums = {oid: enum for oid, enum in live.enums.items() if oid not in gone}
    for oid, enum in after.enums.items():
        if before.enums.get(oid) != enum:
            labels = tuple(EnumLabel(numbers.labels.get(label.oid, label.oid + _NEW_OID), label.name) for label in enum.labels)
            number = numbers.enum(oid) or 0
            enums[number] = replace(enum, oid=number, labels=labels)
    return enums


def _functions(live: Snapshot, before: Snapshot, after: Snapshot, numbers: Numbers) -> dict[int, Function]:
    there = {_signature(each): oid for oid, each in live.functions.items()}
    found = dict(live.functions)
    for oid in before.functions.keys() - after.functions.keys():
        found.pop(there.get(_signature(before.functions[oid]), 0), None)
    for oid, each in after.functions.items():
        was = before.functions.get(oid)
        if was == each:
            continue
        number = oid + _NEW_OID if was is None else there.get(_signature(was), oid + _NEW_OID)
        returned = None if each.returns_relation is None else numbers.relation(each.returns_relation)
        found[number] = replace(each, oid=number, returns_relation=returned)
    return found


def _signature(function: Function) -> tuple[str, str, tuple[str, ...]]:
    return (function.schema, function.name, tuple(a.type for a in function.arguments if a.mode in "ibv"))
