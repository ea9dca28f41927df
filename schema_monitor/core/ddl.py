"""What the DDL log of the target says: which things were touched, what they were called afterwards, and who did it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from msgspec import Struct

from schema_monitor.core.changes import Change
from schema_monitor.core.lineage import LabelSighting, Sighting
from schema_monitor.core.snapshot import Scope, Snapshot


class SeenRelation(Struct, frozen=True):
    """A relation's name and its columns by attnum; of a dropped thing only what was dropped."""

    schema: str
    name: str
    columns: dict[int, str] = {}


class SeenEnum(Struct, frozen=True):
    """An enum's name and its labels by oid."""

    schema: str
    name: str
    labels: dict[int, str] = {}


class Names(Struct, frozen=True):
    """What one command touched, by oid."""

    relations: dict[int, SeenRelation] = {}
    enums: dict[int, SeenEnum] = {}


NOTHING = Names()


class Author(Struct, frozen=True):
    """Who did it and how: the command's tag, the role, the application's name."""

    tag: str
    usr: str
    app: str | None


class Entry(Struct, frozen=True):
    """One row of the log."""

    id: int
    scope: Scope
    author: Author
    otype: str | None
    objid: int | None
    dropped: bool
    names: Names = NOTHING


class News(Struct, frozen=True):
    """A look at the log. All transactions below ``horizon`` (an xid8) are in it or in earlier looks; some above may be too, and
    come again with the next look: entries are a set, known by their ids."""

    horizon: int = 0
    entries: tuple[Entry, ...] = ()

    def within(self, scope: Scope) -> News:
        """Only what was written in that scope: a restored log speaks of other oids. A system that may not be known counts as ours."""
        kept = tuple(e for e in self.entries if _is_here(e.scope, scope))
        return News(self.horizon, kept)


def sightings(entries: Iterable[Entry], now: Snapshot) -> list[Sighting | LabelSighting]:
    """What the entries prove of relations and enums that are, or were, served; for ``Lineage.recall``."""
    found: list[Sighting | LabelSighting] = []
    for entry in entries:
        for oid, seen in entry.names.relations.items():
            if oid in now.relations or not now.exposed or seen.schema in now.exposed:
                found.append(Sighting(now.scope, oid, seen.schema, seen.name, seen.columns))
        for oid, enum in entry.names.enums.items():
            if oid in now.enums or not now.exposed or enum.schema in now.exposed:
                found.append(LabelSighting(now.scope, oid, enum.labels))
    return found


def author(change: Change, entries: Sequence[Entry], old: Snapshot, new: Snapshot) -> Author | None:
    """Who made a change: whoever touched that thing since the last look; else, where all was done by one, that one."""
    things = _identities(change, old, new)
    touching = [entry for entry in entries if things & _touched(entry)]
    return _one(touching or entries)


def _one(entries: Sequence[Entry]) -> Author | None:
    """All of them as one author: tags are listed; where people or applications differ, nobody is named."""
    people = {(entry.author.usr, entry.author.app) for entry in entries}
    if len(people) != 1:
        return None
    ((usr, app),) = people
    return Author(", ".join(dict.fromkeys(entry.author.tag for entry in entries)), usr, app)


def _touched(entry: Entry) -> set[tuple[str, int]]:
    touched = {("relation", oid) for oid in entry.names.relations} | {("enum", oid) for oid in entry.names.enums}
    if entry.otype in ("function", "procedure") and entry.objid is not None:
        touched.add(("function", entry.objid))
    return touched


def _identities(change: Change, old: Snapshot, new: Snapshot) -> set[tuple[str, int]]:
    """A change names things; this is who they are (or may be: an enum and a function may be called like a table)."""
    place = (change.schema, change.relation)
    found: set[tuple[str, int]] = set()
    for snapshot in (old, new):
        found |= {("relation", relation.oid) for relation in snapshot.named(*place)}
        found |= {("enum", enum.oid) for enum in snapshot.enums.values() if (enum.schema, enum.name) == place}
        found |= {("function", each.oid) for each in snapshot.functions.values() if (each.schema, each.name) == place}
    return found


def _is_here(written: Scope, here: Scope) -> bool:
    same_system = written.system_identifier == here.system_identifier or "unknown" in (written.system_identifier, here.system_identifier)
    return same_system and written.database_oid == here.database_oid
