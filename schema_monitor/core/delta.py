"""What a stored version adds to the one before: things that are other than they were, by identity, as they are now.

A delta only ever *sets*: applied twice, or to the very version it leads to, it changes nothing. That is why a process may read the
delta of the version it already has once more, when more became known of the past meanwhile.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeVar

from msgspec import Struct
from msgspec.structs import replace

from schema_monitor.core.history import History
from schema_monitor.core.lineage import Lineage, Qualified
from schema_monitor.core.snapshot import EnumType, Function, Relation, Snapshot

T = TypeVar("T")
Past = tuple[Snapshot, Lineage]


class Delta(Struct, frozen=True, omit_defaults=True):
    """By oid; None = gone. ``names`` and ``inferred`` are those of relations, ``columns`` and ``labels`` the histories within one
    relation or enum (``Lineage``)."""

    fingerprint: str
    server_version: int
    exposed: tuple[str, ...] = ()
    monitor: str = ""
    relations: dict[int, Relation | None] = {}
    enums: dict[int, EnumType | None] = {}
    functions: dict[int, Function | None] = {}
    names: dict[int, tuple[Qualified, ...] | None] = {}
    inferred: dict[int, tuple[Qualified, ...] | None] = {}
    columns: dict[int, History[str] | None] = {}
    labels: dict[int, History[str] | None] = {}


def between(old: Past, new: Past) -> Delta | None:
    """What leads from one version to another; None across scopes, where oids mean other things."""
    (before, known), (now, knows) = old, new
    if before.scope != now.scope or known.scope != knows.scope:
        return None
    return Delta(
        now.fingerprint,
        now.server_version,
        now.exposed,
        now.monitor,
        _other(before.relations, now.relations),
        _other(before.enums, now.enums),
        _other(before.functions, now.functions),
        **_past(known, knows),
    )


def recalled(delta: Delta, old: Lineage, new: Lineage) -> Delta:
    """The delta of a version of which more became known: ``old`` is its lineage as stored, ``new`` as it is known now."""
    later = _past(old, new)
    return replace(delta, **{part: {**getattr(delta, part), **found} for part, found in later.items()})


def unchanged(snapshot: Snapshot) -> Delta:
    """The delta that leads to where one is."""
    return Delta(snapshot.fingerprint, snapshot.server_version, snapshot.exposed, snapshot.monitor)


def apply(old: Past, delta: Delta) -> Past:
    """The version that a delta leads to."""
    snapshot, lineage = old
    now = replace(
        snapshot,
        fingerprint=delta.fingerprint,
        server_version=delta.server_version,
        exposed=delta.exposed,
        monitor=delta.monitor,
        relations=_with(snapshot.relations, delta.relations),
        enums=_with(snapshot.enums, delta.enums),
        functions=_with(snapshot.functions, delta.functions),
    )
    relations = History(_with(lineage.relations.names, delta.names), _with(lineage.relations.inferred, delta.inferred))
    return now, Lineage(lineage.scope, relations, _with(lineage.columns, delta.columns), _with(lineage.labels, delta.labels))


def _past(old: Lineage, new: Lineage) -> dict[str, Any]:
    return {
        "names": _other(old.relations.names, new.relations.names),
        "inferred": _other(old.relations.inferred, new.relations.inferred),
        "columns": _other(old.columns, new.columns),
        "labels": _other(old.labels, new.labels),
    }


def _other(old: Mapping[int, T], new: Mapping[int, T]) -> dict[int, T | None]:
    found: dict[int, T | None] = {oid: thing for oid, thing in new.items() if (was := old.get(oid)) is not thing and was != thing}
    found.update((oid, None) for oid in old if oid not in new)
    return found


def _with(old: dict[int, T], other: Mapping[int, T | None]) -> dict[int, T]:
    """In the order of oids: as a whole reading has it."""
    if not other:
        return old
    merged = {**old, **other}
    if any(oid not in old for oid in other):
        merged = dict(sorted(merged.items()))
    return {oid: thing for oid, thing in merged.items() if thing is not None}
