"""Reads what happened in a stretch of time. Five queries, none of them with values of rows; kept writes are counted by the database."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

from django.db.models import Count, DateTimeField, F, Func, Max, Min, Q, QuerySet, Value
from django.urls import reverse
from django.utils.http import urlencode
from msgspec import Struct

from healing.models import Decision, QuarantineItem, Replay, Rule
from healing.timeline.event import Event, Place
from healing.timeline.links import families, named
from healing.timeline.span import Span
from schema_monitor.models import SchemaChange

MOST = 2000
"""Events of one sort that are shown; the newest win."""
_CELLS = 60


class Asked(Struct, frozen=True):
    """Filters: a table's name (any name it ever had), a severity, a kind of change or of event, and words to look for."""

    table: str = ""
    severity: str = ""
    kind: str = ""
    words: str = ""


SORTS = {"kept": "kept writes", "rule": "rules", "replay": "replays"}


def renames() -> list[tuple[Place, Place]]:
    """Every renaming of a relation, oldest first."""
    rows = SchemaChange.objects.filter(kind="table_renamed").order_by("pk").values_list("schema", "relation", "old", "new")
    return [(_split(old, schema), _split(new, schema)) for schema, _, old, new in rows if isinstance(old, str) and isinstance(new, str)]


def collect(span: Span, asked: Asked, renamed: Iterable[tuple[Place, Place]]) -> list[Event]:
    """Everything asked for, oldest first."""
    family = families(renamed)
    found: list[Event] = []
    if asked.kind not in SORTS:
        found += _changes(span, asked, family)
    if not asked.severity and (not asked.kind or asked.kind in SORTS):
        for sort, read in (("kept", _kept), ("rule", _rules), ("replay", _replays)):
            if asked.kind in ("", sort):
                found += read(span, asked, family)
    return sorted(found, key=lambda event: event.at)


def kinds(span: Span) -> list[str]:
    """The kinds of change in that stretch, for the filter."""
    rows = SchemaChange.objects.filter(version__taken_at__gte=span.start, version__taken_at__lt=span.end)
    return sorted(set(rows.order_by().values_list("kind", flat=True).distinct()))


def _changes(span: Span, asked: Asked, family: dict[Place, Place]) -> list[Event]:
    rows = SchemaChange.objects.filter(version__taken_at__gte=span.start, version__taken_at__lt=span.end)
    rows = rows.select_related("version").defer("version__snapshot", "version__lineage", "version__delta").order_by("-pk")
    rows = rows.filter(place_filter(asked.table, family, "schema", "relation"))
    if asked.severity:
        rows = rows.filter(severity=asked.severity)
    if asked.kind:
        rows = rows.filter(kind=asked.kind)
    if asked.words:
        rows = rows.filter(Q(sentence__icontains=asked.words) | Q(usr__icontains=asked.words) | Q(tag__icontains=asked.words))
    return [change_event(row) for row in rows[:MOST]]


def change_event(row: SchemaChange) -> Event:
    """A stored change on the timeline; its version must be at hand."""
    link = reverse("admin:schema_monitor_schemachange_change", args=[row.pk])
    names = {row.object, row.relation, *(v.rpartition(".")[2] for v in (row.old, row.new) if isinstance(v, str))} - {""}
    return Event(
        f"c{row.pk}", row.severity, row.kind, row.version.taken_at, (row.schema, row.relation), row.sentence, link,
        word=row.severity, state=row.severity, names=frozenset(names), breaks=row.breaks_old_writers,
    )  # fmt: skip


def _kept(span: Span, asked: Asked, family: dict[Place, Place]) -> list[Event]:
    """One event for each cause in each cell of time."""
    items = QuarantineItem.objects.filter(created_at__gte=span.start, created_at__lt=span.end)
    items = items.filter(place_filter(asked.table, family, "schema", "table"))
    if asked.words:
        items = items.filter(Q(signature__icontains=asked.words) | Q(table__icontains=asked.words))
    cell = max(span.length / _CELLS, timedelta(seconds=1))
    binned = Func(Value(cell), F("created_at"), Value(span.start), function="date_bin", output_field=DateTimeField())
    counts = {"writes": Count("pk"), "first": Min("created_at"), "open": Count("pk", filter=Q(state__in=("waiting", "parked", "conflict")))}
    groups = items.annotate(cell=binned).values("cell", "schema", "table", "signature").annotate(**counts).order_by("-cell")[:MOST]
    return [_kept_event(number, group) for number, group in enumerate(list[Any](groups))]


def _kept_event(number: int, group: dict[str, Any]) -> Event:
    left = f"{group['open']} of {group['writes']} wait" if group["open"] else "all settled"
    sentence = f"{group['writes']} × {group['signature']} in {group['schema']}.{group['table']} ({left})"
    link = reverse("admin:healing_quarantineitem_changelist") + "?" + urlencode({"q": group["signature"]})
    word, colour = ("kept, waiting", "waiting") if group["open"] else ("kept, settled", "replayed")
    return Event(
        f"k{number}", "kept", "kept", group["first"], (group["schema"], group["table"]), sentence, link,
        word=word, state=colour, count=group["writes"], cause=group["signature"], names=named(group["signature"]),
    )  # fmt: skip


def _rules(span: Span, asked: Asked, family: dict[Place, Place]) -> list[Event]:
    """Rules as they were approved, and as the audit says they ended."""
    rules = Rule.objects.filter(place_filter(asked.table, family, "schema", "table"))
    if asked.words:
        rules = rules.filter(Q(sentence__icontains=asked.words) | Q(signature__icontains=asked.words))
    born = rules.filter(approved_at__gte=span.start, approved_at__lt=span.end).order_by("-approved_at")[:MOST]
    found = [_rule(rule, "approved", rule.approved_at, "") for rule in born]
    ends = Decision.objects.filter(kind="rule", at__gte=span.start, at__lt=span.end).exclude(action="approve").order_by("-id")[:MOST]
    ended = {str(rule.pk): rule for rule in rules.filter(pk__in={decision.subject for decision in ends})}
    words = {"review": "back to review", "retire": "retired", "demote": "demoted"}
    for end in ends:
        if (rule := ended.get(end.subject)) is not None:
            found.append(_rule(rule, words.get(end.action, end.action), end.at, str(end.pk)))
    return found


def _rule(rule: Rule, what: str, at: Any, number: str) -> Event:
    link = reverse("admin:healing_rule_change", args=[rule.pk])
    name = f"r{rule.pk}{number}"
    sentence = f"Rule {what}: {rule.sentence} ({rule.schema}.{rule.table or '*'})"
    state = {"approved": "active", "back to review": "review"}.get(what, what)
    return Event(name, "rule", what, at, (rule.schema, rule.table), sentence, link, word=f"rule {what}", state=state, cause=rule.signature)


def _replays(span: Span, asked: Asked, family: dict[Place, Place]) -> list[Event]:
    orders: QuerySet[Replay] = Replay.objects.filter(created_at__lt=span.end)
    orders = orders.filter(Q(finished_at__isnull=True) | Q(finished_at__gte=span.start)).filter(
        Q(created_at__gte=span.start) | ~Q(state="done")
    )
    if asked.table:
        orders = orders.filter(place_filter(asked.table, family, "items__schema", "items__table"))
    if asked.words:
        orders = orders.filter(why__icontains=asked.words)
    tables = {"schema": Max("items__schema"), "table": Max("items__table")}
    rows = orders.annotate(**tables).order_by("-created_at")[:MOST]
    return [_replay(row) for row in rows]


def _replay(order: Any) -> Event:
    link = reverse("admin:healing_replay_change", args=[order.pk])
    sentence = f"Replay of {order.total} write{'s' if order.total != 1 else ''}, {order.state}: {order.why or order.asked_by}"
    parent = f"r{order.rule_id}" if order.rule_id else ""
    return Event(
        f"p{order.pk}", "replay", "replay", order.created_at, (order.schema or "", order.table or ""), sentence, link,
        word=f"replay {order.state}", state=order.state, until=order.finished_at, count=max(order.total, 1), parent=parent,
    )  # fmt: skip


def place_filter(table: str, family: dict[Place, Place], schema_field: str, table_field: str) -> Q:
    """Rows about that table under any of its names; ``schema.table`` or only the table's name."""
    if not table:
        return Q()
    schema, _, name = table.rpartition(".")
    heads = {head for place, head in family.items() if _fits(place, schema, name)}
    heads |= {place for place in family.values() if _fits(place, schema, name)}
    asked = Q(**{table_field: name}) & (Q(**{schema_field: schema}) if schema else Q())
    for place, head in family.items():
        if head in heads:
            asked |= Q(**{schema_field: place[0], table_field: place[1]}) | Q(**{schema_field: head[0], table_field: head[1]})
    return asked


def _fits(place: Place, schema: str, name: str) -> bool:
    return place[1] == name and schema in ("", place[0])


def _split(name: str, schema: str) -> Place:
    """``schema.table``; a schema's name may hold a dot only where the row's own schema says so."""
    head, _, tail = name.partition(".")
    return (schema, name[len(schema) + 1 :]) if name.startswith(f"{schema}.") else (head, tail)
