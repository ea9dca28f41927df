"""What was done about a change by itself: a version for every process, old names that live on, alerts."""

from __future__ import annotations

from django.urls import reverse
from django.utils import timezone
from django.utils.http import urlencode
from msgspec import Struct

from healing.schema_facts.next_step import Step
from healing.templatetags.mendgate import distance
from healing.timeline.collect import renames
from healing.timeline.links import families
from schema_monitor.alerts.models import SchemaAlert
from schema_monitor.aliases import Alias, aliases
from schema_monitor.models import SchemaChange

_COLOURS = {"delivered": "success", "failed": "danger"}


class Reactions(Struct, frozen=True):
    """Lines for the page; ``in_use`` says who still uses the old name, or ''."""

    done: tuple[Step, ...]
    in_use: str = ""


def reactions(change: SchemaChange) -> Reactions:
    """Everything that can be told from the rows."""
    alias, in_use = _alias(change) if change.kind.endswith("_renamed") else ((), "")
    told = Step("success", f"Stored as version {change.version.epoch}; every process was told and clears what it kept of this table.")
    return Reactions((told, *alias, *_alerts(change)), in_use)


def _alias(change: SchemaChange) -> tuple[tuple[Step, ...], str]:
    """What became of the old name: the line for the page, and who still uses it."""
    kind, old = change.kind.removesuffix("_renamed"), str(change.old)
    if kind not in ("table", "column", "label"):
        return (), ""
    old = old.rpartition(".")[2] if kind == "table" else old
    link = reverse("admin:schema_names") + "?" + urlencode({"q": old})
    alias = _find(change, kind, old)
    if alias is None:
        return (Step("warning", f"The old name {old} is not followed: it is live again, could mean several things, or is gone."),), ""
    if alias.state == "retired":
        return (Step("warning", f"The old name {old} is not followed. {alias.countdown(timezone.now())}", link, "Old names"),), ""
    step = Step("success", f"The old name {old} still works: it is followed to {alias.now}.", link, "Old names")
    return (step,), alias.countdown(timezone.now()) if alias.state == "in use" else ""


def _find(change: SchemaChange, kind: str, old: str) -> Alias | None:
    """Of the same table, whatever it is called today."""
    family = families(renames())
    place = (change.schema, change.relation)
    head = family.get(place, place)
    for alias in aliases():
        if (alias.kind, alias.name) != (kind, old):
            continue
        if kind == "table" and family.get((alias.schema, old), (alias.schema, old)) == head:
            return alias
        if kind != "table" and family.get((alias.schema, alias.place), (alias.schema, alias.place)) == head:
            return alias
    return None


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
