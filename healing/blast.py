"""What an approval reaches: the table, what reads it, who writes it how often, and how much of that has the misfit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from msgspec import Struct

from healing.checked_fix import checked
from healing.core import fixes
from healing.live_schema import latest
from healing.models import Proposal
from healing.refusals import Refused
from schema_monitor import traffic
from schema_monitor.core.snapshot import Relation, Snapshot
from schema_monitor.core.traffic import WRITES, RecentShape

MOST_CALLERS = 6


class Caller(Struct, frozen=True):
    """Writes of one caller, a day. ``misfits``: those that did not fit as they were sent, whatever the reason."""

    name: str
    key: str | None
    writes: float
    misfits: float


class Blast(Struct, frozen=True):
    """Figures are a day, of the last ``days``. ``views``: what shows the column values to readers. ``others``: callers not listed."""

    table: str
    views: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    callers: tuple[Caller, ...] = ()
    others: int = 0
    writes: float = 0.0
    misfits: float = 0.0
    days: int = traffic.DAYS


def blast_of(proposal: Proposal) -> Blast:
    """The reach of a proposal; only its table's name where it does not fit the live schema."""
    try:
        ops, relation = checked(proposal.fix, proposal.schema, proposal.table)
    except Refused:
        return Blast(f"{proposal.schema}.{proposal.table}")
    shapes = [shape for shape in traffic.recent_shapes(relation_oids=[relation.oid]) if shape.operation in WRITES]
    callers = _callers(shapes)
    return Blast(
        table=f"{relation.schema}.{relation.name}", views=_views(relation, latest()[1]),
        columns=tuple(dict.fromkeys(name for op in ops for name in fixes.touches(op))), callers=tuple(callers[:MOST_CALLERS]),
        others=max(0, len(callers) - MOST_CALLERS), writes=sum(c.writes for c in callers), misfits=sum(c.misfits for c in callers),
    )  # fmt: skip


def _callers(shapes: Sequence[RecentShape]) -> list[Caller]:
    found: dict[tuple[str | None, str], list[Any]] = {}
    for shape in shapes:
        entry = found.setdefault((shape.key, shape.role), [shape.caller or shape.role, 0, 0])
        entry[1] += shape.requests
        entry[2] += shape.misfits
    made = [Caller(name, key, writes / traffic.DAYS, misfits / traffic.DAYS) for (key, _), (name, writes, misfits) in found.items()]
    return sorted(made, key=lambda caller: -caller.writes)


def _views(relation: Relation, snapshot: Snapshot) -> tuple[str, ...]:
    reading = [each for each in snapshot.relations.values() if any(oid == relation.oid for _, oid, _ in each.view_columns)]
    return tuple(sorted(f"{each.schema}.{each.name}" for each in reading))
