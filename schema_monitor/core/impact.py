"""Judges what callers sent lately against a schema that does not exist yet.

Names are judged as healing would: by lineage, exactly. What a change does beside names is judged from the changes that a shape feels
(``core.felt``). Values were never recorded; where they decide, the verdict says so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from msgspec import Struct
from msgspec.structs import replace

from schema_monitor.core.changes import Change
from schema_monitor.core.felt import FELT
from schema_monitor.core.impact_effects import effects
from schema_monitor.core.impact_names import name_reasons
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.meaning import uses_of
from schema_monitor.core.snapshot import Function, Snapshot
from schema_monitor.core.touched import Thing, things_of
from schema_monitor.core.traffic import RecentShape
from schema_monitor.core.verdicts import Judged, Reason, Verdict, worst

__all__ = ["Judged", "Reason", "Settled", "Verdict", "World", "judge"]

Settled = frozenset[tuple[str, str, str]]
"""(schema, table or '' for any, signature) of rules that are active now."""


class World(Struct, frozen=True):
    """A schema, what its names ever meant, and what active rules answer there."""

    snapshot: Snapshot
    lineage: Lineage
    settled: Settled = frozenset()


def judge(shapes: Iterable[RecentShape], live: World, after: World, changes: Iterable[Change]) -> tuple[Judged, ...]:
    """Every shape, the worst first, then the most frequent. ``changes`` lead from the one snapshot to the other."""
    things = [thing for change in changes for thing in things_of(change, live.snapshot, after.snapshot)]
    found = [_judged(shape, live, after, things) for shape in shapes]
    order = list(Verdict)
    return tuple(sorted(found, key=lambda each: (-order.index(each.verdict), -each.shape.requests)))


def _judged(shape: RecentShape, live: World, after: World, things: list[Thing]) -> Judged:
    if shape.operation == "call":
        now, then = _call(shape, live.snapshot), _call(shape, after.snapshot)
    else:
        now = tuple(name_reasons(shape, live.snapshot, live.lineage, live.snapshot))
        names = tuple(name_reasons(shape, after.snapshot, after.lineage, live.snapshot))
        then = (*names, *_effects(shape, live, after, things)) if worst(names) is not Verdict.BREAKS else names
    now = tuple(_settle(reason, shape, live) for reason in _distinct(now))
    then = tuple(_settle(reason, shape, after) for reason in _distinct(then))
    return Judged(shape, worst(then), worst(now), then)


def _effects(shape: RecentShape, live: World, after: World, things: list[Thing]) -> Iterator[Reason]:
    for thing in things:
        for use in uses_of(thing.relation, live.snapshot, live.lineage, (shape,)):
            if (felt := FELT.get(thing.change.kind)) is not None and felt(use, thing):
                yield from effects(use, thing, after.snapshot)


def _distinct(reasons: tuple[Reason, ...]) -> Iterator[Reason]:
    """One a problem: the same missing value may be told by the names and by the change."""
    seen: set[str] = set()
    for reason in reasons:
        key = reason.signature or reason.sentence
        if key not in seen:
            seen.add(key)
            yield reason


def _settle(reason: Reason, shape: RecentShape, world: World) -> Reason:
    """A rule that is active there answers it."""
    relation = world.snapshot.relations.get(shape.relation_oid)
    tables = {"", shape.name} | ({relation.name} if relation is not None else set())
    rules = {(shape.schema, table, reason.signature) for table in tables}
    if reason.verdict is not Verdict.NEEDS_RULE or world.settled.isdisjoint(rules):
        return reason
    return replace(reason, verdict=Verdict.HEALS, sentence=f"{reason.sentence} An approved rule answers it.", remedies=())


def _call(shape: RecentShape, snapshot: Snapshot) -> tuple[Reason, ...]:
    """A function is found by its name and the names of what is given; nothing follows a rename."""
    named = [f for f in snapshot.functions.values() if (f.schema, f.name) == (shape.schema, shape.name)]
    if any(_takes(function, shape.keys) for function in named):
        return ()
    given = ", ".join(shape.keys)
    message = f"Could not find the function {shape.schema}.{shape.name}({given}) in the schema cache"
    sentence = "No function of this name takes these arguments." if named else "There is no function of this name."
    return (Reason(Verdict.BREAKS, sentence, code="PGRST202", message=message),)


def _takes(function: Function, given: tuple[str, ...]) -> bool:
    """Also a function of one unnamed argument, which takes the whole body."""
    taken = [argument for argument in function.arguments if argument.mode in "ibv"]
    if len(taken) == 1 and not taken[0].name:
        return True
    names = {argument.name for argument in taken}
    needed = {argument.name for argument in taken if not argument.has_default and argument.mode != "v"}
    return needed <= set(given) <= names
