"""Tables as they are now, with what is known of each: traffic, changes, history of columns."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, Max, Q, Sum
from django.utils import timezone
from msgspec import Struct

from healing.schema_facts.columns import Histories, Past, histories
from healing.timeline.collect import renames
from healing.timeline.event import Place
from healing.timeline.links import families
from schema_monitor.core.lineage import Lineage, Renamed
from schema_monitor.core.snapshot import Column, Relation, Snapshot
from schema_monitor.models import SchemaChange
from schema_monitor.traffic import DAYS, traffic_of
from schema_monitor.traffic_models import PayloadShape

_MOST_CHANGES = 5000
_KEYS = {"p": "primary key", "u": "unique", "f": "foreign key", "c": "check", "x": "exclusion"}


class Row(Struct, frozen=True):
    """A line of the list of tables."""

    relation: Relation
    requests: int
    callers: int
    changes: int
    changed_at: datetime | None


class ColumnFacts(Struct, frozen=True):
    """A line of a table's page."""

    column: Column
    marks: tuple[str, ...]
    requests: int
    former: tuple[str, ...]
    alive: tuple[str, ...]
    """former names that are still followed."""
    history: tuple[Past, ...]


class TableFacts(Struct, frozen=True):
    """A table's page."""

    relation: Relation
    columns: tuple[ColumnFacts, ...]
    constraints: tuple[tuple[str, str, str], ...]
    """(what, name, definition)"""
    history: Histories
    traffic: dict[str, Any]
    requests: int
    former_names: tuple[str, ...]


def rows(snapshot: Snapshot, words: str = "") -> list[Row]:
    """Every served relation whose name or column holds the words; two queries more."""
    low = words.casefold()
    shown = [r for r in snapshot.relations.values() if snapshot.serves(r) and _holds(r, low)]
    since = timezone.now() - timedelta(days=DAYS)
    shapes = PayloadShape.objects.filter(hour__gt=since).order_by().values("relation_oid")
    traffic: dict[int, Any] = {t["relation_oid"]: t for t in shapes.annotate(n=Sum("requests"), who=Count("caller", distinct=True))}
    counted = SchemaChange.objects.order_by().values_list("schema", "relation").annotate(n=Count("pk"), last=Max("version__taken_at"))
    changes = {(s, r): (n, last) for s, r, n, last in counted}
    found = [_row(r, traffic.get(r.oid, {}), changes.get((r.schema, r.name), (0, None))) for r in shown]
    return sorted(found, key=lambda row: (-row.requests, row.relation.schema, row.relation.name))


def facts(relation: Relation, snapshot: Snapshot, lineage: Lineage) -> TableFacts:
    """Everything about one relation."""
    traffic = traffic_of(relation.oid)
    past = histories(relation, past_of(relation))
    resolved = lineage.column_names(relation)
    followed = {name: found.value.attnum for name, found in resolved.items() if isinstance(found, Renamed)}
    columns = tuple(_column(column, relation, traffic, past, followed) for column in relation.columns)
    former = [
        ".".join(p) for p in lineage.relations.names.get(relation.oid, ()) if isinstance(lineage.resolve_relation(snapshot, *p), Renamed)
    ]
    constraints = tuple((_KEYS[c.kind], c.name, c.definition) for c in relation.constraints if c.kind in _KEYS)
    return TableFacts(relation, columns, constraints, past, traffic, sum(traffic["requests"].values()), tuple(former))


def past_of(relation: Relation) -> list[Past]:
    """The stored changes under any name that the relation may have had, the newest ones."""
    family = families(renames())
    head = family.get((relation.schema, relation.name), (relation.schema, relation.name))
    places = [head, *(place for place, top in family.items() if top == head)]
    rows = SchemaChange.objects.filter(_any_place(places)).order_by("-pk")[:_MOST_CHANGES]
    names = ("id", "version__epoch", "version__taken_at", "kind", "severity", "schema", "relation", "object", "old", "sentence")
    return [Past(*row) for row in rows.values_list(*names)]


def _any_place(places: Iterable[Place]) -> Q:
    found = Q(pk__in=())
    for schema, name in places:
        found |= Q(schema=schema, relation=name)
    return found


def _holds(relation: Relation, low: str) -> bool:
    return not low or low in f"{relation.schema}.{relation.name}".casefold() or any(low in c.name.casefold() for c in relation.columns)


def _row(relation: Relation, traffic: dict[str, Any], changes: tuple[int, datetime | None]) -> Row:
    return Row(relation, traffic.get("n", 0), traffic.get("who", 0), *changes)


def _column(column: Column, relation: Relation, traffic: dict[str, Any], past: Histories, followed: dict[str, int]) -> ColumnFacts:
    alive = tuple(name for name, attnum in followed.items() if attnum == column.attnum)
    former = tuple(dict.fromkeys((*past.former(column.attnum), *alive)))
    requests = sum(traffic["columns"].get(name, 0) for name in (column.name, *alive))
    return ColumnFacts(column, tuple(_marks(column, relation)), requests, former, alive, past.columns.get(column.attnum, ()))


def _marks(column: Column, relation: Relation) -> Iterable[str]:
    for constraint in relation.constraints:
        if constraint.kind in _KEYS and column.attnum in constraint.columns:
            yield _KEYS[constraint.kind]
    names = {c.name for c in relation.constraints}
    if any(column.attnum in index.columns for index in relation.unique_indexes if index.name not in names):
        yield "unique index"
