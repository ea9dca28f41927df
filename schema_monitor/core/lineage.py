"""Every name that each living thing of the catalog ever had, and what a name means today.

Identity is what Postgres keeps across RENAME: the oid of a relation, ``(oid, attnum)`` of a column, the oid of an enum label.
A name is exact evidence only where all its known owners are one living thing. So there are seven answers:

``Live``       the name is in use, and no other living thing ever had it
``Renamed``    not in use; it belonged to exactly one thing, which lives under another name
``Reused``     in use, but another thing that had it still lives: what an old caller means is open
``Ambiguous``  not in use; several things had it, or one had it and the others are gone, or it is known by inference only
``Retired``    like Renamed, but a person decided that the name is followed no more
``Gone``       it belonged to dropped things only
``Unknown``    never seen

Two decisions. A dropped owner makes a former name ambiguous (``a`` renamed to ``b``, another ``a`` added and dropped: a caller of
``a`` may mean the dropped one), but it does not disturb a name that is live: drop and add under the same name is how a column
or table is replaced. And a view that takes the name of the table it reads is a compatibility view: its name is ``Live``.

A lineage is true for the snapshot it was advanced to. Where a relation was read again since, call ``advance_relation`` first.
A relation that left the snapshot and came back keeps its history as inferred: nobody watched it meanwhile, and oids wrap around.
In another scope (restored or branched database) oids mean nothing: names are matched by name once, kept apart as inferred,
and never resolve as exact.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from schema_monitor.core.history import (
    FORGOTTEN,
    NO_NAMES,
    Ambiguous,
    Gone,
    History,
    Live,
    Renamed,
    Resolution,
    Retired,
    Reused,
    Unknown,
)
from schema_monitor.core.snapshot import Column, EnumLabel, EnumType, Relation, Scope, Snapshot

__all__ = [
    "Ambiguous",
    "Gone",
    "History",
    "LabelSighting",
    "Lineage",
    "Live",
    "Renamed",
    "Resolution",
    "Retired",
    "Reused",
    "Sighting",
    "Unknown",
]

T = TypeVar("T")
Qualified = tuple[str, str]
Former = tuple[str, int, int, str]
"""A former name that was retired: ``column``, relation oid, attnum, name; ``table``, oid, 0, schema.name; ``label``, enum oid, label
oid, name."""
REMEMBERED = 500
"""How many dropped relations (and enums) keep their own entry."""


def former(relation_oid: int, attnum: int, enum_oid: int, label_oid: int, schema: str, name: str) -> Former:
    """The ``Former`` of a stored retirement (``traffic_models.RetiredName``)."""
    if enum_oid:
        return ("label", enum_oid, label_oid, name)
    return ("column", relation_oid, attnum, name) if attnum else ("table", relation_oid, 0, f"{schema}.{name}")


class Sighting(Struct, frozen=True):
    """A relation as somebody saw it between two captures: its name, and its columns by attnum."""

    scope: Scope
    oid: int
    schema: str
    name: str
    columns: dict[int, str]

    @classmethod
    def of(cls, scope: Scope, relation: Relation) -> Sighting:
        """What a relation looks like now."""
        return cls(scope, relation.oid, relation.schema, relation.name, _columns(relation))


class LabelSighting(Struct, frozen=True):
    """The same of an enum: its labels by oid."""

    scope: Scope
    oid: int
    labels: dict[int, str]

    @classmethod
    def of(cls, scope: Scope, enum: EnumType) -> LabelSighting:
        """What an enum looks like now."""
        return cls(scope, enum.oid, _labels(enum))


Seen = Sighting | LabelSighting


class Lineage(Struct, frozen=True, omit_defaults=True):
    """The histories of one scope: of relations by (schema, name), of columns by relation oid, of labels by enum oid. Where there
    is no entry, nothing was ever renamed. Entries of relations that left the snapshot stay for
    a while (the table may come back)."""

    scope: Scope
    relations: History[Qualified] = History()
    columns: dict[int, History[str]] = {}
    labels: dict[int, History[str]] = {}
    retired: frozenset[Former] = frozenset()
    """no part of what is stored with a version: people decide it (``without``)."""

    @classmethod
    def start(cls, snapshot: Snapshot) -> Lineage:
        """The lineage of a first snapshot: no former name is known."""
        return cls(snapshot.scope)

    def advance(self, old: Snapshot, new: Snapshot) -> Lineage:
        """The lineage at ``new``, given that this one is true at ``old``. Cost grows with what changed."""
        if new.scope != self.scope:
            return self._carry(old, new)
        known, columns, labels = self.relations, dict(self.columns), dict(self.labels)
        for oid in old.relations.keys() | new.relations.keys():
            before, after = old.relations.get(oid), new.relations.get(oid)
            if before is None:
                known = _back(known, columns, oid)
            if not _same(before, after):
                _put(columns, oid, _columns(before), _columns(after))
        for oid in old.enums.keys() | new.enums.keys():
            _put(labels, oid, _labels(old.enums.get(oid)), _labels(new.enums.get(oid)))
        return Lineage(self.scope, known.advance(_relations(old), _relations(new)), columns, labels, self.retired)._trimmed(new)

    def advance_relation(self, old: Relation | None, new: Relation) -> Lineage:
        """The lineage after one relation was read again (``old`` is what was known of it: same oid, or None)."""
        if old is not None and old.oid != new.oid:
            raise ValueError("old and new are different relations")
        known, columns = self.relations, dict(self.columns)
        if old is None:
            known = _back(known, columns, new.oid)
        _put(columns, new.oid, _columns(old), _columns(new))
        before = {} if old is None else {old.oid: (old.schema, old.name)}
        relations = known.advance(before, {new.oid: (new.schema, new.name)})
        return Lineage(self.scope, relations, columns, self.labels, self.retired)

    def recall(self, seen: Iterable[Seen], now: Snapshot) -> Lineage:
        """The lineage with what was seen between captures: that a relation or an enum, at some moment in this scope, had this name,
        these columns, these labels. A sighting is a fact whenever it was; several of one thing may come in any order, and again.
        It must not be newer than ``now``: of what is not in there, the names are kept as a dropped thing's."""
        relations, columns, labels = self.relations, dict(self.columns), dict(self.labels)
        for each in seen:
            if each.scope != self.scope:
                continue
            if isinstance(each, LabelSighting):
                _put(labels, each.oid, each.labels, _labels(now.enums.get(each.oid)))
                continue
            live = now.relations.get(each.oid)
            columns_now = _columns(live)
            if each.columns.items() - columns_now.items():
                _put(columns, each.oid, each.columns, columns_now)
            if live is None or (live.schema, live.name) != (each.schema, each.name):
                there = {} if live is None else {live.oid: (live.schema, live.name)}
                relations = relations.advance({each.oid: (each.schema, each.name)}, there)
        return Lineage(self.scope, relations, columns, labels, self.retired)._trimmed(now)

    def without(self, retired: Iterable[Former]) -> Lineage:
        """The same with exactly these former names retired: they are followed no more."""
        return replace(self, retired=frozenset(retired))

    def _trimmed(self, now: Snapshot) -> Lineage:
        """Without entries of things dropped long ago; the names of relations stay known."""
        stale = _oldest(self.relations.names.keys() - now.relations.keys())
        dead = _oldest(self.labels.keys() - now.enums.keys())
        if not stale and not dead:
            return self
        columns, labels = _without(self.columns, stale), _without(self.labels, dead)
        return Lineage(self.scope, self.relations.forget(stale), columns, labels, self.retired)

    def resolve_column(self, relation: Relation, name: str) -> Resolution[Column]:
        """What ``name`` means as a column of that relation."""
        history = self.columns.get(relation.oid, NO_NAMES)
        found = history.resolve(name, _one(relation.column(name)), relation.by_attnum)
        return found if not self.retired else self._unless_retired(found, lambda c: ("column", relation.oid, c.attnum, name))

    def resolve_relation(self, snapshot: Snapshot, schema: str, name: str) -> Resolution[Relation]:
        """What ``schema.name`` means as a relation. Only relations of exposed schemas count as living: a rename never leads out
        of what is served."""
        live = tuple(r for r in snapshot.named(schema, name) if snapshot.serves(r))

        def alive(oid: int) -> Relation | None:
            relation = snapshot.relations.get(oid)
            return relation if relation is not None and snapshot.serves(relation) else None

        found: Resolution[Relation] = self.relations.resolve((schema, name), live, alive)
        found = _unless_compatible(found) if isinstance(found, Reused) else found
        return found if not self.retired else self._unless_retired(found, lambda r: ("table", r.oid, 0, f"{schema}.{name}"))

    def resolve_label(self, enum: EnumType, name: str) -> Resolution[EnumLabel]:
        """What ``name`` means as a label of that enum."""
        labels = {label.oid: label for label in enum.labels}
        live = tuple(label for label in enum.labels if label.name == name)
        found = self.labels.get(enum.oid, NO_NAMES).resolve(name, live, labels.get)
        return found if not self.retired else self._unless_retired(found, lambda label: ("label", enum.oid, label.oid, name))

    def _unless_retired(self, found: Resolution[T], former: Callable[[T], Former]) -> Resolution[T]:
        """What is left when retired names mean nothing any more: a live name that others had before is plainly live then."""
        match found:
            case Renamed(thing) if former(thing) in self.retired:
                return Retired(thing)
            case Reused(live, others):
                left = tuple(thing for thing in others if former(thing) not in self.retired)
                return Reused(live, left) if left else Live(live)
        return found

    def column_names(self, relation: Relation) -> dict[str, Resolution[Column]]:
        """Every name that is or was a column of it, resolved: for planners that want one look-up a key. True for as long as
        the relation's fingerprint and this lineage are."""
        former = self.columns.get(relation.oid, NO_NAMES).known()
        names = [column.name for column in relation.columns]
        return {name: self.resolve_column(relation, name) for name in (*names, *(former - set(names)))}

    def _carry(self, old: Snapshot, new: Snapshot) -> Lineage:
        """Steps: match relations and enums by name; in each pair match columns and labels by name; all of it inferred."""
        relations = self.relations.carry(_relations(old), _relations(new))
        columns, labels = {}, {}
        for relation in new.relations.values():
            for twin in old.named(relation.schema, relation.name):
                columns[relation.oid] = self.columns.get(twin.oid, NO_NAMES).carry(_columns(twin), _columns(relation))
        twins = {(enum.schema, enum.name): enum for enum in old.enums.values()}
        for enum in new.enums.values():
            if same := twins.get((enum.schema, enum.name)):
                labels[enum.oid] = self.labels.get(same.oid, NO_NAMES).carry(_labels(same), _labels(enum))
        return Lineage(new.scope, relations, _nonempty(columns), _nonempty(labels))


def _unless_compatible(found: Reused[Relation]) -> Resolution[Relation]:
    """A view that reads the table whose name it took stands in for it: the name is live."""
    read = {oid for _, oid, _ in found.live.view_columns}
    former = tuple(relation for relation in found.former if relation.oid not in read)
    return Reused(found.live, former) if former else Live(found.live)


def _same(old: Relation | None, new: Relation | None) -> bool:
    if old is None or new is None:
        return old is new
    return old is new or (old.fingerprint != "" and old.fingerprint == new.fingerprint)


def _put(into: dict[int, History[str]], oid: int, old: Mapping[int, str], new: Mapping[int, str]) -> None:
    if old == new:
        return
    history = into.get(oid, NO_NAMES).advance(old, new)
    if history.names or history.inferred:
        into[oid] = history
    else:
        into.pop(oid, None)


def _back(relations: History[Qualified], columns: dict[int, History[str]], oid: int) -> History[Qualified]:
    """A relation appears: what is remembered under its oid is no longer exact."""
    if oid in columns:
        columns[oid] = columns[oid].doubt_all()
    return relations.doubt(oid)


def _one(thing: T | None) -> tuple[T, ...]:
    return () if thing is None else (thing,)


def _columns(relation: Relation | None) -> dict[int, str]:
    return {} if relation is None else {c.attnum: c.name for c in relation.columns}


def _labels(enum: EnumType | None) -> dict[int, str]:
    return {} if enum is None else {label.oid: label.name for label in enum.labels}


def _relations(snapshot: Snapshot) -> dict[int, Qualified]:
    return {oid: (r.schema, r.name) for oid, r in snapshot.relations.items()}


def _oldest(gone: set[int]) -> list[int]:
    """Those beyond what is remembered, oldest first; oids rise with age nearly always, and nothing breaks where not."""
    return sorted(gone - {FORGOTTEN})[: max(0, len(gone) - REMEMBERED)]


def _without(histories: dict[int, History[str]], gone: list[int]) -> dict[int, History[str]]:
    return {oid: h for oid, h in histories.items() if oid not in set(gone)} if gone else histories


def _nonempty(histories: dict[int, History[str]]) -> dict[int, History[str]]:
    return {oid: h for oid, h in histories.items() if h.names or h.inferred}
