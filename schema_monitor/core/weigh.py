"""How bad a change is, given what callers sent in the last days.

    base      the severity of its kind; a rename whose old name is no exact alias counts as one without alias (critical)
    + 1       where a request of the last days touches what changed
    - 1       where none does, and everything was recorded (``certain``); never for security

What counts as touching is one row of ``felt.FELT`` a kind. Kinds that are not there are felt by no request (a comment, a check that was
removed): they keep their severity, and so do all low ones.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from schema_monitor.core.changes import Change
from schema_monitor.core.felt import FELT
from schema_monitor.core.lineage import Lineage, Live, Renamed
from schema_monitor.core.meaning import origins_in, uses_of
from schema_monitor.core.severity import INFERRED_RENAME, LEVELS
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.core.touched import functions_of, relation_of, things_of
from schema_monitor.core.traffic import RecentShape

MOST_CALLERS = 20
SECURITY = ("row_security_", "policy_", "grant_", "monitor_")
"""Kinds that begin so are never lowered: whoever gets in is no caller of the last days."""


class Weighed(Struct, frozen=True):
    """A change with its final severity. ``base`` is what it has without traffic; ``hits``: ``requests`` and ``callers`` (key, name, role,
    requests, last_at) of the last days that touch it, the busiest first."""

    change: Change
    base: str
    hits: dict[str, Any] = {}


class World(Struct, frozen=True):
    """The catalog before and after, with the lineages that are true there."""

    old: Snapshot
    new: Snapshot
    before: Lineage
    after: Lineage


def weigh(changes: Iterable[Change], world: World, shapes: Iterable[RecentShape], *, certain: bool) -> tuple[Weighed, ...]:
    """The changes by their final severity, the worst first. ``shapes`` are those of the last days (at least of ``concerned``);
    ``certain``: whoever is not in them sent nothing."""
    known = tuple(shapes)
    found = [_weighed(change, world, known, certain) for change in changes]
    return tuple(sorted(found, key=lambda each: -LEVELS.index(each.change.severity)))


def concerned(changes: Iterable[Change], world: World) -> set[int]:
    """Relations and functions (oids) whose traffic decides about these changes: also views that read a changed table."""
    oids: set[int] = set()
    for change in changes:
        oids |= functions_of(change, world.old, world.new)
        for thing in things_of(change, world.old, world.new):
            oids.add(thing.relation.oid)
            oids |= {view.oid for view in world.old.relations.values() if origins_in(view, thing.relation, world.old)}
    return oids


def _weighed(change: Change, world: World, shapes: tuple[RecentShape, ...], certain: bool) -> Weighed:
    base = _base(change, world)
    change = replace(change, severity=base)
    if base == LEVELS[0] or not _can_be_felt(change.kind):
        return Weighed(change, base)
    hits = _hits(change, world, shapes)
    step = 1 if hits else -1 if certain and not change.kind.startswith(SECURITY) else 0
    level = min(max(LEVELS.index(base) + step, 0), len(LEVELS) - 1)
    return Weighed(replace(change, severity=LEVELS[level]), base, summed(hits))


def _base(change: Change, world: World) -> str:
    """A rename is high only because the old name lives on; where that is not exact, old callers fail or mean something else."""
    if change.inferred or not change.kind.endswith("_renamed") or _has_alias(change, world):
        return change.severity
    return INFERRED_RENAME.severity


def _has_alias(change: Change, world: World) -> bool:
    """Whether the old name resolves to the renamed thing, or to a view that stands in for it."""
    match change.kind:
        case "table_renamed":
            former = relation_of(change, world.old, world.new)
            if former is None:
                return False
            return isinstance(world.after.resolve_relation(world.new, former.schema, former.name), Renamed | Live)
        case "column_renamed":
            relations = world.new.named(change.schema, change.relation)
            return any(isinstance(world.after.resolve_column(relation, change.old), Renamed) for relation in relations)
        case "label_renamed":
            enums = [e for e in world.new.enums.values() if (e.schema, e.name) == (change.schema, change.relation)]
            return any(isinstance(world.after.resolve_label(enum, change.old), Renamed) for enum in enums)
    return True


def _hits(change: Change, world: World, shapes: tuple[RecentShape, ...]) -> list[RecentShape]:
    """The shapes that the change touches, each once."""
    functions = functions_of(change, world.old, world.new)
    found = [shape for shape in shapes if shape.operation == "call" and shape.relation_oid in functions]
    for thing in things_of(change, world.old, world.new):
        felt = FELT.get(change.kind)
        uses = uses_of(thing.relation, world.old, world.before, shapes)
        found += [use.shape for use in uses if felt is not None and felt(use, thing)]
    return list({id(shape): shape for shape in found}.values())


def summed(shapes: Iterable[RecentShape]) -> dict[str, Any]:
    """``requests`` and ``callers`` as plain JSON; empty for none."""
    callers: dict[tuple[str | None, str], dict[str, Any]] = {}
    for shape in shapes:
        fresh = {"key": shape.key, "name": shape.caller or shape.role, "role": shape.role, "requests": 0, "last_at": None}
        caller = callers.setdefault((shape.key, shape.role), fresh)
        caller["requests"] += shape.requests
        at = shape.last_at.isoformat() if shape.last_at else None
        caller["last_at"] = max(filter(None, (caller["last_at"], at)), default=None)
    if not callers:
        return {}
    busiest = sorted(callers.values(), key=lambda caller: -caller["requests"])
    return {"requests": sum(caller["requests"] for caller in busiest), "callers": busiest[:MOST_CALLERS]}


def _can_be_felt(kind: str) -> bool:
    return kind in FELT or kind.startswith("function_")
