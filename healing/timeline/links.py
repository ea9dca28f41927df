"""What followed from what: by relation and time, by cause, and by what the rows themselves say. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta

from healing.core.signature import read, read_label, split
from healing.timeline.event import SEVERITIES, Event, Link, Place

SLACK = timedelta(seconds=2)
"""A change is dated when it was captured; a write may have met it a moment before."""


def links(events: Sequence[Event], renames: Iterable[tuple[Place, Place]] = ()) -> tuple[Link, ...]:
    """Every link among these events. ``renames`` are (old, new) names of relations: both are the same relation."""
    family = families(renames)
    changes = sorted((e for e in events if e.lane in SEVERITIES and e.breaks), key=lambda e: e.at)
    kept = [e for e in events if e.lane == "kept"]
    rules: dict[str, list[Event]] = {}
    for event in events:
        if event.lane == "rule":
            rules.setdefault(event.cause, []).append(event)
    found = [Link(e.parent, e.id) for e in events if e.parent]
    found += [Link(cause.id, each.id) for each in kept if (cause := cause_of(each, changes, family)) is not None]
    found += [Link(each.id, rule.id) for each in kept for rule in rules.get(each.cause, ()) if _mends(rule, each, family)]
    known = {e.id for e in events}
    return tuple(dict.fromkeys(link for link in found if link.before in known and link.after in known))


def cause_of(kept: Event, changes: Sequence[Event], family: dict[Place, Place]) -> Event | None:
    """The latest change before that breaks old writers of this relation and that the misfit names; else none: most misfits come
    from the caller, not from the schema. ``changes`` are those that break old writers, in
    order of time."""
    for change in reversed(changes):
        if change.at - SLACK <= kept.at and _names(change, kept, family):
            return change
    return None


def named(signature: str) -> frozenset[str]:
    """The names in ``unknown_column:a + missing_value:b``: columns, labels, constraints, tables."""
    names = [read(part)[1] for part in split(signature)]
    return frozenset(piece for name in names for piece in (name, *read_label(name)) if piece)


def families(renames: Iterable[tuple[Place, Place]]) -> dict[Place, Place]:
    """For every name that a relation had or has, one name that stands for all of them."""
    head: dict[Place, Place] = {}

    def top(place: Place) -> Place:
        while place in head:
            place = head[place]
        return place

    for old, new in renames:
        if (a := top(old)) != (b := top(new)):
            head[a] = b
    return {place: top(place) for place in head}


def _names(change: Event, kept: Event, family: dict[Place, Place]) -> bool:
    """Whether the misfit may be the change's doing. An enum is no relation: its labels are known by their text."""
    if change.kind.startswith("label_"):
        return "unknown_label:" in kept.cause and bool(named(kept.cause) & change.names)
    if not _same(change, kept, family):
        return False
    return bool(named(kept.cause) & change.names) or ("unknown_table" in kept.cause and change.kind.startswith("table_"))


def _same(left: Event, right: Event, family: dict[Place, Place]) -> bool:
    return family.get(left.place, left.place) == family.get(right.place, right.place)


def _mends(rule: Event, kept: Event, family: dict[Place, Place]) -> bool:
    return rule.kind == "approved" and rule.cause == kept.cause and rule.at >= kept.at and _same(rule, kept, family)
