"""From what the DDL log tells to what must be read anew, and from what was read to the next snapshot; so that a change in a catalog of
ten thousand tables costs what the change costs.

Only what is well understood is read by itself. Everything else says None, and the whole catalog is read: types that columns are
made of, whole schemas, extensions, what lies outside the exposed schemas, and kinds of things that nobody thought of here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TypeVar

from msgspec import Struct
from msgspec.structs import replace

from schema_monitor.core.ddl import Entry
from schema_monitor.core.fingerprint import snapshot_fingerprint
from schema_monitor.core.snapshot import EnumType, Function, Relation, Snapshot

T = TypeVar("T")
RELATIONS = {"table", "view", "materialized view", "foreign table", "table column", "view column", "materialized view column"}
RELATIONS |= {"foreign table column", "index", "table constraint", "policy", "trigger", "rule", "default value"}
FUNCTIONS = {"function", "procedure", "aggregate"}
IRRELEVANT = {
    "publication",
    "publication relation",
    "publication namespace",
    "subscription",
    "statistics object",
    "default acl",
    "default privileges",
}
MOST = 200
"""So many relations are read by themselves at most."""


class Ask(Struct, frozen=True):
    """What to read, by oid. ``unsure``: sequences and functions whose new name may stand in descriptions of others. ``granted``: rights
    were given or taken, of what is not known."""

    relations: frozenset[int] = frozenset()
    enums: frozenset[int] = frozenset()
    functions: frozenset[int] = frozenset()
    sequences: frozenset[int] = frozenset()
    renamed_functions: frozenset[int] = frozenset()
    granted: bool = False


class Found(Struct, frozen=True):
    """What was read: by oid; what was asked for and is not in here does not exist, or is not served."""

    relations: Mapping[int, Relation]
    enums: Mapping[int, EnumType]
    functions: Mapping[int, Function]


def ask(entries: Iterable[Entry], old: Snapshot) -> Ask | None:
    """What these entries concern; None where only the whole catalog will do."""
    relations, enums, functions, sequences, renamed, granted = set[int](), set[int](), set[int](), set[int](), set[int](), False
    for entry in entries:
        relations |= entry.names.relations.keys()
        enums |= entry.names.enums.keys()
        kind, oid = entry.otype or "", entry.objid
        if entry.author.tag in ("GRANT", "REVOKE"):
            granted = True
        elif kind in FUNCTIONS and oid is not None:
            functions.add(oid)
            if entry.author.tag.startswith("ALTER"):
                renamed.add(oid)
        elif kind == "sequence" and oid is not None:
            if not entry.dropped and entry.author.tag != "CREATE SEQUENCE":
                sequences.add(oid)
        elif kind == "index" and entry.dropped:  # whose it was is not told
            relations |= {r.oid for r in old.relations.values() if any(index.oid == oid for index in (*r.unique_indexes, *r.indexes))}
        elif kind == "type":
            if not _is_plain_type(entry, old):
                return None
            if entry.dropped and oid is not None:
                enums.add(oid)
        elif kind not in RELATIONS and kind not in IRRELEVANT:
            return None
    if len(relations) > MOST or any(_beyond(old, oid) for oid in relations):
        return None
    return Ask(frozenset(relations), frozenset(enums), frozenset(functions), frozenset(sequences), frozenset(renamed), granted)


def wider(asked: Ask, relations: Iterable[int], functions: Iterable[int] = ()) -> Ask:
    """The same with more to read."""
    return replace(asked, relations=asked.relations | frozenset(relations), functions=asked.functions | frozenset(functions))


def writing_through(old: Snapshot, asked: Ask, above: set[int]) -> set[int]:
    """Relations whose writes run what was touched, or ran it: those above it, and each that runs something of others at all."""
    if not asked.relations:
        return set()
    known = {oid for oid in above if oid in old.relations and old.serves(old.relations[oid])}
    return known | {oid for oid, relation in old.relations.items() if relation.runs_also}


def seen_elsewhere(old: Snapshot, asked: Ask, found: Found) -> set[int]:
    """Relations of which something changed, or went, that stands in the description of others too: names, types, keys, whether rows
    can be written (views)."""
    return {oid for oid in asked.relations if oid in old.relations and _outside(old.relations[oid], found.relations.get(oid))}


def patched(old: Snapshot, place: Snapshot, asked: Ask, found: Found) -> Snapshot | None:
    """The next snapshot; None where what was read shows that more than this changed. ``place`` is an empty snapshot of where and when
    it was read."""
    if (place.scope, place.exposed) != (old.scope, old.exposed) or place.server_version // 10_000 != old.server_version // 10_000:
        return None
    if any(_beyond(old, oid) for oid in asked.relations) or _lets_go(old, asked, found) or _retyped(old, found):
        return None
    snapshot = replace(
        old,
        server_version=place.server_version,
        monitor=place.monitor,
        relations=_merged(old.relations, asked.relations, found.relations),
        enums=_merged(old.enums, asked.enums & old.enums.keys(), found.enums),
        functions=_merged(old.functions, asked.functions, found.functions),
    )
    return replace(snapshot, fingerprint=snapshot_fingerprint(snapshot))


def _is_plain_type(entry: Entry, old: Snapshot) -> bool:
    """An enum that keeps its name, or a type that nothing uses: just made, or an enum just dropped."""
    known = None if entry.objid is None else old.enums.get(entry.objid)
    if entry.dropped:
        return known is not None
    if not entry.names.enums:
        return entry.author.tag == "CREATE TYPE"
    return known is None or all((enum.schema, enum.name) == (known.schema, known.name) for enum in entry.names.enums.values())


def _beyond(old: Snapshot, oid: int) -> bool:
    """Known only because something that is served refers to it."""
    return oid in old.relations and not old.serves(old.relations[oid])


def _outside(old: Relation, new: Relation | None) -> bool:
    if new is None:
        return True
    names = {column.attnum: (column.name, column.type) for column in new.columns}
    moved = any(names.get(column.attnum) != (column.name, column.type) for column in old.columns)
    return moved or _face(old) != _face(new)


def _face(relation: Relation) -> tuple[object, ...]:
    keys = tuple(sorted((c.oid, c.name, c.columns) for c in relation.constraints if c.kind in "pu"))
    writable = (relation.insertable, relation.updatable, relation.deletable, relation.has_before_triggers)
    return (relation.schema, relation.name, relation.kind, keys, writable)


def _lets_go(old: Snapshot, asked: Ask, found: Found) -> bool:
    """Whether a relation or an enum of another schema may have lost the last thing that refers to it."""
    for oid in asked.relations & old.relations.keys():
        before, after = old.relations[oid], found.relations.get(oid)
        if _references(old, before) - (set() if after is None else _references(old, after)):
            return True
        if before.kind in "vm" and any(not old.serves(each) for each in old.relations.values()):
            return True
    return False


def _references(snapshot: Snapshot, relation: Relation) -> set[int]:
    """What lies outside the exposed schemas and is referred to."""
    keys = {c.references for c in relation.constraints if c.references is not None}
    tables = {oid for oid in keys if _beyond(snapshot, oid)}
    enums = {c.enum for c in relation.columns if c.enum is not None}
    return tables | {oid for oid in enums if oid in snapshot.enums and snapshot.enums[oid].schema not in snapshot.exposed}


def _retyped(old: Snapshot, found: Found) -> bool:
    """An enum under another name: every column of that type says so."""
    return any((was := old.enums.get(oid)) is not None and (was.schema, was.name) != (e.schema, e.name) for oid, e in found.enums.items())


def _merged(old: dict[int, T], asked: Iterable[int], found: Mapping[int, T]) -> dict[int, T]:
    gone = {oid for oid in asked if oid not in found}
    if not found and not gone & old.keys():
        return old
    merged = {oid: thing for oid, thing in {**old, **found}.items() if oid not in gone}
    return merged if found.keys() <= old.keys() else dict(sorted(merged.items()))
