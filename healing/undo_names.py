"""What the names in a receipt meant when its write was stored, and what these columns are called today.

A receipt holds names. Its table and columns may have been renamed since, and their names given to others; what stays is a relation's oid
and a column's attnum, which the version of the schema at that time knows. Clocks and captures are not exact, so every version that may
have been the one is asked: where they say different things, nobody knows.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from functools import lru_cache

from msgspec import Struct

from healing.live_schema import find_relation, latest_snapshot
from healing.models import Receipt
from healing.refusals import WrongState
from schema_monitor import versions
from schema_monitor.core.snapshot import Relation, Snapshot
from schema_monitor.models import SchemaVersion

SLACK = timedelta(seconds=60)
"""So far a version may be from the moment that it is true of: the capture comes later, and clocks differ."""


class CannotUndo(WrongState):
    """There is no sound way back."""


class Names(Struct, frozen=True):
    """The relation as it is today, and the live name of each name in the receipt."""

    relation: Relation
    live: Mapping[str, str]


def names_of(receipt: Receipt, told: Iterable[str]) -> Names:
    """For the names that the receipt's rows have. Raises ``CannotUndo`` where the table or a column is gone, or they cannot be told."""
    told, (epoch, now) = tuple(told), latest_snapshot()
    known = [snapshot for snapshot in _may_have_been(receipt) if snapshot.scope == now.scope]
    meant = {found for snapshot in known or [now] if (found := _meant(receipt, told, snapshot)) is not None}
    if len(meant) > 1:
        raise CannotUndo("The schema changed at the moment of this write: what its columns were is not known for sure.")
    found = meant.pop() if meant else _meant(receipt, told, now)
    if found is None:
        raise CannotUndo("The table has lost a column that this write stored, or was lost itself.")
    oid, attnums = found
    relation = now.relations.get(oid)
    if relation is None:
        raise CannotUndo(f"{receipt.schema}.{receipt.table} is not in schema version {epoch} any more.")
    columns = [relation.by_attnum(attnum) for attnum in attnums]
    live = {name: column.name for name, column in zip(told, columns, strict=True) if column is not None}
    if len(live) < len(told):
        raise CannotUndo("The table has lost a column that this write stored.")
    return Names(relation, live)


def _meant(receipt: Receipt, told: tuple[str, ...], snapshot: Snapshot) -> tuple[int, tuple[int, ...]] | None:
    """The relation and columns that these names were; None where the version has not all of them. A caller may have been answered under
    the name that was healed."""
    relation = find_relation(snapshot, receipt.schema, receipt.table)
    if relation is None:
        return None
    renamed = {f.get("from"): f.get("to") for f in receipt.fixes if f.get("op") == "rename_column"}
    columns = [relation.column(name) or relation.column(renamed.get(name) or name) for name in told]
    return (relation.oid, tuple([column.attnum for column in columns if column is not None])) if all(columns) else None


def _may_have_been(receipt: Receipt) -> Iterator[Snapshot]:
    """The newest version that surely was before, and those about the time of the write."""
    stored = SchemaVersion.objects.values_list("epoch", "pk", "taken_at")
    before = stored.filter(taken_at__lt=receipt.at - SLACK).order_by("-epoch").first()
    about = stored.filter(taken_at__gte=receipt.at - SLACK, taken_at__lte=receipt.at + SLACK).order_by("epoch")
    for epoch, identity, _ in [*([before] if before else []), *about]:
        if (snapshot := _read(epoch, identity)) is not None:
            yield snapshot


@lru_cache(maxsize=8)
def _read(epoch: int, _identity: int) -> Snapshot | None:
    found = versions.at(epoch)
    return None if found is None else found[1]
