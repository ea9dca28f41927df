"""How relations are linked: foreign keys seen from both sides, through plain columns of views, and through junction tables.

Cardinality is as PostgREST has it: ``m2o`` and ``o2o`` (the key is unique) from the side that has the key, ``o2m`` and ``o2o``
from the other, ``m2m`` where a table's primary key holds two foreign keys.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from msgspec import Struct

from schema_monitor.core.snapshot import Constraint, Relation, Snapshot

Pairs = tuple[tuple[str, str], ...]
"""(column here, column there)."""


class Junction(Struct, frozen=True):
    """The table between two, with both of its keys."""

    table: Relation
    constraint: str
    """the key to this side."""
    other: str
    """the key to the target."""
    pairs: Pairs
    """(column here, column of the junction)."""
    target_pairs: Pairs
    """(column of the target, column of the junction)."""


class Link(Struct, frozen=True):
    """One way from ``origin`` to ``target``."""

    origin: Relation
    target: Relation
    kind: str
    """m2o | o2m | o2o | m2m."""
    constraint: str = ""
    pairs: Pairs = ()
    junction: Junction | None = None

    @property
    def to_one(self) -> bool:
        """At most one row of the target belongs to a row of the origin."""
        return self.kind in ("m2o", "o2o")

    @property
    def own(self) -> bool:
        """It leads back to the same relation."""
        return self.origin.oid == self.target.oid


Links = dict[int, tuple[Link, ...]]


def links_of(snapshot: Snapshot) -> Links:
    """Every link by the oid of its origin; made once a snapshot."""
    kept = vars(snapshot).get("_links")
    if kept is None:
        kept = vars(snapshot)["_links"] = _derive(snapshot)
    links: Links = kept
    return links


def _derive(snapshot: Snapshot) -> Links:
    forward = list(chain.from_iterable(_forward(snapshot, relation) for relation in snapshot.relations.values()))
    links: dict[int, list[Link]] = {}
    for link in chain(forward, map(_backward, forward), _across(forward)):
        links.setdefault(link.origin.oid, []).append(link)
    return {oid: tuple(found) for oid, found in links.items()}


def _forward(snapshot: Snapshot, relation: Relation) -> Iterator[Link]:
    """The foreign keys of a table, from it and from each view of it, to their targets and each view of those."""
    for key in relation.constraints:
        if key.kind != "f" or key.references not in snapshot.relations:
            continue
        target = snapshot.relations[key.references]
        kind = "o2o" if _unique(relation, key) else "m2o"
        for here, own in _faces(snapshot, relation, key.columns):
            for there, its in _faces(snapshot, target, key.referenced_columns):
                yield Link(here, there, kind, key.name, tuple(zip(own, its, strict=True)))


def _faces(snapshot: Snapshot, table: Relation, attnums: tuple[int, ...]) -> list[tuple[Relation, tuple[str, ...]]]:
    """The table and its views that show all of those columns, with their names there."""
    own = tuple(column.name for n in attnums if (column := table.by_attnum(n)) is not None)
    faces = [(table, own)] if len(own) == len(attnums) else []
    for view in _views(snapshot).get(table.oid, ()):
        shown = _shown(snapshot, view, table)
        if all(n in shown for n in attnums):
            faces.append((view, tuple(shown[n] for n in attnums)))
    return faces


def _views(snapshot: Snapshot) -> dict[int, list[Relation]]:
    """Views by the oid of the base tables that they show."""
    kept: dict[int, list[Relation]] | None = vars(snapshot).get("_views")
    if kept is None:
        kept = vars(snapshot)["_views"] = {}
        for view in snapshot.relations.values():
            if view.kind not in ("v", "m"):
                continue
            bases = {origin[0].oid for c in view.columns if (origin := snapshot.origin(view, c.attnum)) is not None}
            for oid in bases:
                kept.setdefault(oid, []).append(view)
    return kept


def _shown(snapshot: Snapshot, view: Relation, table: Relation) -> dict[int, str]:
    """The view's names by the table's attnums; the first where a column is shown twice."""
    shown: dict[int, str] = {}
    for column in view.columns:
        origin = snapshot.origin(view, column.attnum)
        if origin is not None and origin[0].oid == table.oid:
            shown.setdefault(origin[1].attnum, column.name)
    return shown


def _unique(relation: Relation, key: Constraint) -> bool:
    columns = set(key.columns)
    constrained = any(c.kind in ("p", "u") and set(c.columns) == columns for c in relation.constraints)
    return constrained or any(not i.partial and set(i.columns) == columns for i in relation.unique_indexes)


def _backward(link: Link) -> Link:
    kind = "o2o" if link.kind == "o2o" else "o2m"
    return Link(link.target, link.origin, kind, link.constraint, tuple((there, here) for here, there in link.pairs))


def _across(forward: list[Link]) -> Iterator[Link]:
    """Many-to-many links through tables whose primary key holds two foreign keys."""
    by_table: dict[int, list[Link]] = {}
    for link in forward:
        if link.kind == "m2o" and link.origin.kind in ("r", "p"):
            by_table.setdefault(link.origin.oid, []).append(link)
    for keys in by_table.values():
        primary = set(keys[0].origin.primary_key)
        for one in keys:
            for other in keys:
                columns = {own for own, _ in (*one.pairs, *other.pairs)}
                if one.constraint != other.constraint and columns <= primary:
                    yield _through(one, other)


def _through(one: Link, other: Link) -> Link:
    pairs = tuple((theirs, own) for own, theirs in one.pairs)
    target_pairs = tuple((theirs, own) for own, theirs in other.pairs)
    junction = Junction(one.origin, one.constraint, other.constraint, pairs, target_pairs)
    return Link(one.target, other.target, "m2m", "", (), junction)
