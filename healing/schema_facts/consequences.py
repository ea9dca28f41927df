"""What a change of the schema led to: writes that were kept, proposals, rules, replays, rules sent back to review."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from django.db.models import Count, Min, Q
from msgspec import Struct

from healing.causes import OPEN
from healing.models import Decision, Proposal, QuarantineItem, Replay, Rule
from healing.schema_changed import WHO
from healing.timeline.collect import change_event, place_filter, renames
from healing.timeline.event import Event
from healing.timeline.links import SLACK, cause_of, families, named
from schema_monitor.models import SchemaChange, SchemaVersion

_MOST = 500


class Kept(Struct, frozen=True):
    """Writes with one misfit that came of the change."""

    schema: str
    table: str
    signature: str
    writes: int
    waiting: int
    first: datetime
    proposals: int
    rule: Any
    replays: tuple[Any, ...]


class Consequences(Struct, frozen=True):
    """Of one change."""

    kept: tuple[Kept, ...]
    reviewed: tuple[Rule, ...]
    """rules that went back to review with this version, of this relation."""

    @property
    def waiting(self) -> int:
        """Writes that wait because of it."""
        return sum(kept.waiting for kept in self.kept)

    @property
    def decidable(self) -> bool:
        """Whether a proposal is open for some of them."""
        return any(kept.proposals and kept.waiting for kept in self.kept)


def consequences(change: SchemaChange) -> Consequences:
    """Everything that can be told from the rows; the links are those of the timeline."""
    return Consequences(tuple(_kept(change)) if change.breaks_old_writers else (), tuple(_reviewed(change)))


def _kept(change: SchemaChange) -> list[Kept]:
    renamed = renames()
    family = families(renamed)
    place = Q() if change.kind.startswith("label_") else place_filter(f"{change.schema}.{change.relation}", family, "schema", "table")
    items = QuarantineItem.objects.filter(place, created_at__gte=change.version.taken_at - SLACK)
    counts = {"writes": Count("pk"), "waiting": Count("pk", filter=Q(state__in=OPEN)), "first": Min("created_at")}
    groups: Any = items.values("schema", "table", "signature").annotate(**counts)
    ordered = groups.order_by("-writes")[:_MOST]
    rivals = sorted((change_event(row) for row in _rivals(change)), key=lambda event: event.at)
    return [_told(group) for group in ordered if (best := cause_of(_event(group), rivals, family)) and best.id == f"c{change.pk}"]


def _rivals(change: SchemaChange) -> Any:
    """This change and later ones that could be the cause instead."""
    rows = SchemaChange.objects.filter(pk__gte=change.pk, breaks_old_writers=True).select_related("version")
    return rows.defer("version__snapshot", "version__lineage", "version__delta").order_by("pk")[:_MOST]


def _event(group: dict[str, Any]) -> Event:
    place = (group["schema"], group["table"])
    return Event("", "kept", "kept", group["first"], place, "", "", "", "", cause=group["signature"], names=named(group["signature"]))


def _told(group: dict[str, Any]) -> Kept:
    place = {name: group[name] for name in ("schema", "table", "signature")}
    rule = Rule.objects.filter(**place, state="active").first()
    replays = Replay.objects.filter(items__in=QuarantineItem.objects.filter(**place)).distinct().order_by("-created_at")[:3]
    return Kept(**group, proposals=Proposal.objects.filter(**place, state="open").count(), rule=rule, replays=tuple(replays))


def _reviewed(change: SchemaChange) -> list[Rule]:
    """The monitor's own decisions between this version and the next; in the same transaction as the version."""
    after = SchemaVersion.objects.filter(epoch=change.version.epoch + 1).values_list("taken_at", flat=True).first()
    decisions = Decision.objects.filter(who=WHO, action="review", kind="rule", at__gte=change.version.taken_at)
    if after is not None:
        decisions = decisions.filter(at__lt=after)
    family = families(renames())
    place = place_filter(f"{change.schema}.{change.relation}", family, "schema", "table")
    return list(Rule.objects.filter(place, pk__in=list(decisions.values_list("subject", flat=True)[:_MOST])))
