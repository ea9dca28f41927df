"""What was done about a change by itself: a version for every process, old names that live on, alerts."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Max, Q, Sum
from django.urls import reverse
from django.utils import timezone
from msgspec import Struct

from healing.schema_facts.next_step import Step
from healing.schema_facts.versions import newest
from healing.templatetags.mendgate import distance
from schema_monitor.core.lineage import Ambiguous, Lineage, Live, Renamed, Resolution, Reused
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.models import OldNameUse, RetiredName, SchemaAlert, SchemaChange

_WEEK = timedelta(days=7)
_COLOURS = {"delivered": "success", "failed": "danger"}


class Reactions(Struct, frozen=True):
    """Lines for the page; ``in_use`` says who still uses the old name, or ''."""

    done: tuple[Step, ...]
    in_use: str = ""


def reactions(change: SchemaChange) -> Reactions:
    """Everything that can be told from the rows."""
    alias, in_use = _alias(change) if change.kind.endswith("_renamed") and isinstance(change.old, str) else ((), "")
    told = Step("success", f"Stored as version {change.version.epoch}; every process was told and clears what it kept of this table.")
    return Reactions((told, *alias, *_alerts(change)), in_use)


def _alias(change: SchemaChange) -> tuple[tuple[Step, ...], str]:
    found = newest()
    meaning = None if found is None else _meaning(change, found[1], found[2])
    old = change.old.rpartition(".")[2] if change.kind == "table_renamed" else change.old
    if meaning is None:
        return (), ""
    if (retired := RetiredName.objects.filter(name=old).filter(_where(meaning)).first()) is not None:
        return (
            Step("warning", f"The old name {old} was retired by {retired.by}: {retired.why}", reverse("admin:schema_names"), "Old names"),
        ), ""
    if not isinstance(meaning, Renamed):
        return (Step(*_lost(old, meaning)),), ""
    step = Step(
        "success", f"The old name {old} still works: it is followed to {meaning.value.name}.", reverse("admin:schema_names"), "Old names"
    )
    return (step,), _users(old, meaning)


def _meaning(change: SchemaChange, snapshot: Snapshot, lineage: Lineage) -> Resolution[object] | None:
    """What the old name means today; None for things without aliases (constraints, functions, enums)."""
    if change.kind == "table_renamed":
        return lineage.resolve_relation(snapshot, change.schema, change.old.rpartition(".")[2])
    if change.kind == "label_renamed":
        enum = next((e for e in snapshot.enums.values() if (e.schema, e.name) == (change.schema, change.relation)), None)
        return None if enum is None else lineage.resolve_label(enum, change.old)
    if change.kind != "column_renamed":
        return None
    match lineage.resolve_relation(snapshot, change.schema, change.relation):
        case Live(relation) | Renamed(relation) | Reused(relation, _):
            return lineage.resolve_column(relation, change.old)
    return None


def _where(meaning: Resolution[object]) -> Q:
    """RetiredName and OldNameUse rows about that thing."""
    thing = getattr(meaning, "value", None)
    if hasattr(thing, "attnum"):
        return Q(attnum=thing.attnum, label_oid=0)
    if hasattr(thing, "columns"):
        return Q(relation_oid=thing.oid, attnum=0, label_oid=0)
    return Q(label_oid=getattr(thing, "oid", -1))


def _lost(old: str, meaning: Resolution[object]) -> tuple[str, str]:
    match meaning:
        case Live() | Reused():
            return "info", f"{old} is a live name again: nothing needs to be followed."
        case Ambiguous():
            return "warning", f"{old} is not followed: it could mean several things now, so writes with it are kept for a person."
    return "warning", f"{old} is not followed: what it named is gone."


def _users(old: str, meaning: Resolution[object]) -> str:
    since = timezone.now() - _WEEK
    rows = OldNameUse.objects.filter(_where(meaning), name=old, last_at__gte=since).order_by()
    callers = rows.values("key", "role").annotate(n=Sum("uses"), last=Max("last_at"))
    if not callers:
        return ""
    last = max(row["last"] for row in callers)
    who = "1 caller still uses" if len(callers) == 1 else f"{len(callers)} callers still use"
    return f"{who} the old name {old}, last {distance(last)}."


def _alerts(change: SchemaChange) -> list[Step]:
    alerts = SchemaAlert.objects.filter(change=change).select_related("message", "subscription")
    found = []
    for alert in alerts:
        message = alert.message
        when = f" {distance(message.delivered_at)}" if message.delivered_at else ""
        trouble = f": {message.last_error}" if message.last_error and message.state != "delivered" else ""
        link = reverse("admin:schema_monitor_alertmessage_change", args=[message.pk])
        text = f"Alert to {alert.subscription.name}: {message.get_state_display()}{when}{trouble}"
        found.append(Step(_COLOURS.get(message.state, "warning"), text, link, "Delivery"))
    return found or [Step("info", "No alert: no subscription asked for it.")]
