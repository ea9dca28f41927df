"""Former names that live on, as values: whose they are, who still uses them, how far they are from being needed by nobody."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from schema_monitor.core.history import Renamed, Retired
from schema_monitor.core.lineage import Former, Lineage, former
from schema_monitor.core.snapshot import EnumType, Relation, Snapshot

State = Literal["in use", "quiet", "retired"]


class AliasCaller(Struct, frozen=True):
    """One caller's uses in the last seven days."""

    key: str | None
    name: str
    role: str
    uses: int
    last_at: datetime


class Alias(Struct, frozen=True, kw_only=True):
    """A former name (``name``) of a living thing (``now``). ``kind`` is column, table or label; ``place`` says whose: the table of a
    column, the type of a label, the schema of a table."""

    kind: str
    schema: str
    place: str
    name: str
    now: str
    relation_oid: int = 0
    attnum: int = 0
    enum_oid: int = 0
    label_oid: int = 0
    state: State = "quiet"
    callers: tuple[AliasCaller, ...] = ()
    """of the last seven days, the latest first."""
    last_used_at: datetime | None = None
    retired_by: str = ""
    retired_at: datetime | None = None
    why: str = ""

    @property
    def id(self) -> str:
        """Stable, for links: ``find`` takes it."""
        return ":".join(str(part) for part in self.former)

    @property
    def former(self) -> Former:
        """The name by identity."""
        return former(self.relation_oid, self.attnum, self.enum_oid, self.label_oid, self.schema, self.name)

    def countdown(self, at: datetime) -> str:
        """How far it is from being needed by nobody, as a sentence."""
        if self.retired_at is not None:
            return f"Retired by {self.retired_by} {ago(self.retired_at, at)}: {self.why}"
        if self.callers and self.last_used_at is not None:
            some = "1 caller still uses" if len(self.callers) == 1 else f"{len(self.callers)} callers still use"
            return f"{some} the old name, last {ago(self.last_used_at, at)}."
        if self.last_used_at is not None:
            return f"Nobody has used the old name since {ago(self.last_used_at, at)}."
        return "Nobody has used the old name since the traffic is recorded."


def former_names(snapshot: Snapshot, lineage: Lineage) -> Iterator[Alias]:
    """Every former name that means exactly one living thing, retired or not; their uses are not filled in."""
    yield from _of_tables(snapshot, lineage)
    for relation in snapshot.relations.values():
        if snapshot.serves(relation):
            yield from _of_columns(relation, lineage)
    for enum in snapshot.enums.values():
        yield from _of_labels(enum, lineage)


def ago(then: datetime, now: datetime) -> str:
    """``2 h ago``."""
    seconds = max(0, int((now - then) / timedelta(seconds=1)))
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit} ago"
    return "just now"


def _of_tables(snapshot: Snapshot, lineage: Lineage) -> Iterator[Alias]:
    for schema, name in sorted(lineage.relations.known()):
        match lineage.resolve_relation(snapshot, schema, name):
            case Renamed(relation) | Retired(relation):
                now = relation.name if relation.schema == schema else f"{relation.schema}.{relation.name}"
                yield Alias(kind="table", schema=schema, place=schema, name=name, now=now, relation_oid=relation.oid)


def _of_columns(relation: Relation, lineage: Lineage) -> Iterator[Alias]:
    if relation.oid not in lineage.columns:
        return
    for name, found in lineage.column_names(relation).items():
        match found:
            case Renamed(column) | Retired(column):
                names = Alias(kind="column", schema=relation.schema, place=relation.name, name=name, now=column.name)
                yield replace(names, relation_oid=relation.oid, attnum=column.attnum)


def _of_labels(enum: EnumType, lineage: Lineage) -> Iterator[Alias]:
    for name in sorted(lineage.labels[enum.oid].known()) if enum.oid in lineage.labels else ():
        match lineage.resolve_label(enum, name):
            case Renamed(label) | Retired(label):
                names = Alias(kind="label", schema=enum.schema, place=enum.name, name=name, now=label.name)
                yield replace(names, enum_oid=enum.oid, label_oid=label.oid)
