"""What recorded requests meant, by catalog identity: names as sent become columns of a table, also through views of it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct

from schema_monitor.core.lineage import Ambiguous, Lineage, Live, Renamed, Reused
from schema_monitor.core.snapshot import Relation, Snapshot
from schema_monitor.core.traffic import EVERYTHING, RecentShape

UNSAID = "…"
"""In ``keys``: too many different names to keep; any column may be meant."""
Place = tuple[int, int]
"""oid of a relation, attnum"""


class Use(Struct, frozen=True):
    """One shape, seen from one table: the columns (attnums) that it ``set``, those that it ``named`` elsewhere, and whether it asked
    for ``all`` of them. ``vague``: it may have named any."""

    shape: RecentShape
    set: frozenset[int]
    named: frozenset[int]
    all: bool = False
    vague: bool = False

    @property
    def writes(self) -> bool:
        """It stores values: it is no read, call or delete."""
        return self.shape.operation in ("insert", "upsert", "update")

    @property
    def inserts(self) -> bool:
        """It may make a new row, so what it leaves out counts too."""
        return self.shape.operation in ("insert", "upsert")

    def touches(self, attnums: Iterable[int]) -> bool:
        """Whether it set or named one of these columns."""
        return self.vague or not (self.set | self.named).isdisjoint(attnums)

    def sees(self, attnums: Iterable[int]) -> bool:
        """The same, or it asked for all."""
        return self.all or self.touches(attnums)

    def omits(self, attnum: int) -> bool:
        """Whether it makes rows without saying what this column is."""
        return self.inserts and (self.vague or attnum not in self.set)


def uses_of(relation: Relation, at: Snapshot, lineage: Lineage, shapes: Iterable[RecentShape]) -> Iterator[Use]:
    """The shapes that reach that table or view, with their names understood as of ``at``; ``lineage`` is true there."""
    for shape in shapes:
        met = at.relations.get(shape.relation_oid)
        if met is None or shape.operation == "call":
            continue
        if met.oid == relation.oid:
            yield _use(shape, met, lineage, {c.attnum: c.attnum for c in met.columns})
        elif origins := origins_in(met, relation, at):
            yield _use(shape, met, lineage, origins)


def origins_in(view: Relation, relation: Relation, at: Snapshot) -> dict[int, int]:
    """Which columns of a view (attnums) are plainly which ones of that table."""
    if view.kind not in ("v", "m"):
        return {}
    found = ((attnum, at.origin(view, attnum)) for attnum, _, _ in view.view_columns)
    return {attnum: origin[1].attnum for attnum, origin in found if origin is not None and origin[0].oid == relation.oid}


def _use(shape: RecentShape, met: Relation, lineage: Lineage, columns: dict[int, int]) -> Use:
    def those(names: Iterable[str]) -> frozenset[int]:
        return frozenset(columns[n] for name in names for n in meant(met, lineage, name) if n in columns)

    return Use(shape, those(shape.keys), those(shape.named), EVERYTHING in shape.named, UNSAID in shape.keys)


def meant(relation: Relation, lineage: Lineage, name: str) -> tuple[int, ...]:
    """The columns that a name may mean (attnums): the one that bears it, and those that bore it."""
    match lineage.resolve_column(relation, name):
        case Live(column) | Renamed(column):
            return (column.attnum,)
        case Reused(live, former):
            return (live.attnum, *(column.attnum for column in former))
        case Ambiguous(candidates):
            return tuple(column.attnum for column in candidates)
    return ()
