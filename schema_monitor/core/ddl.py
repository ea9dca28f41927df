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


class Authors:
    """Who made each change between two snapshots: whoever touched that thing since the last look; else, where all was done by one, that
    one. A restore or a large migration has thousands of both, so each is looked at once."""

    def __init__(self, entries: Sequence[Entry], old: Snapshot, new: Snapshot) -> None:
        self._entries, self._snapshots = entries, (old, new)
        self._touching: dict[tuple[str, int], list[int]] = {}
        for number, entry in enumerate(entries):
            for thing in _touched(entry):
                self._touching.setdefault(thing, []).append(number)
        self._things = _by_place(old, new)
        self._all = _one(entries)

    def of(self, change: Change) -> Author | None:
        """None where it cannot be told, or where several did it."""
        place = (change.schema, change.relation)
        things = self._things.get(place, set())
        things = things.union(*({("relation", each.oid) for each in snapshot.named(*place)} for snapshot in self._snapshots))
        numbers = sorted({number for thing in things for number in self._touching.get(thing, ())})
        return _one([self._entries[number] for number in numbers]) if numbers else self._all


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


def _by_place(*snapshots: Snapshot) -> dict[tuple[str, str], set[tuple[str, int]]]:
    """Enums and functions by what they are called: a change names things, and an enum and a function may be called like a table."""
    found: dict[tuple[str, str], set[tuple[str, int]]] = {}
    for snapshot in snapshots:
        for enum in snapshot.enums.values():
            found.setdefault((enum.schema, enum.name), set()).add(("enum", enum.oid))
        for function in snapshot.functions.values():
            found.setdefault((function.schema, function.name), set()).add(("function", function.oid))
    return found


def _is_here(written: Scope, here: Scope) -> bool:
    same_system = written.system_identifier == here.system_identifier or "unknown" in (written.system_identifier, here.system_identifier)
    return same_system and written.database_oid == here.database_oid
