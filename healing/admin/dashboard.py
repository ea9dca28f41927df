"""The index: is all well, and what needs me? Each line of "needs you" is a sentence with the page that settles it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db.models import Count, Min, Q, Sum
from django.http import HttpRequest
from django.urls import reverse
from django.utils import timezone
from msgspec import Struct

from healing.admin import breakers_facts
from healing.admin.alert_needs import deaf
from healing.models import ApiKey, Proposal, QuarantineItem, Receipt, Rule
from healing.templatetags.mendgate import distance
from schema_monitor.models import SchemaChange, SchemaVersion

DAY = timedelta(hours=24)
MOST_CHANGES = 5


class Need(Struct, frozen=True):
    """Something that a person must settle."""

    colour: str
    text: str
    link: str
    label: str


def context(request: HttpRequest, given: dict[str, Any]) -> dict[str, Any]:
    """unfold's DASHBOARD_CALLBACK. Who may not see writes sees none of their counts either."""
    if not request.user.has_perm("healing.view_quarantineitem"):
        return {**given, "mendgate": None}
    needs = [need for need in (_reviews(), _stuck(), _deaf(request), *_breakers(request), *_schema()) if need is not None]
    return {
        **given,
        "title": "Dashboard",
        "mendgate": {"state": _state(), "needs": needs, "counts": _counts(), "first": first_write(request)},
    }


def first_write(request: HttpRequest) -> dict[str, Any]:
    """The three steps of a newcomer, until the first write came."""
    arrived = Receipt.objects.exists() or ApiKey.objects.filter(last_used_at__isnull=False).exists()
    return {"arrived": arrived, "base": request.build_absolute_uri("/").rstrip("/")}


def _state() -> dict[str, Any]:
    stuck = QuarantineItem.objects.filter(state__in=["parked", "conflict"]).count()
    waiting = QuarantineItem.objects.filter(state="waiting").count()
    if stuck:
        who = "One write is" if stuck == 1 else f"{stuck} writes are"
        return {"colour": "danger", "text": f"{who} stuck: a replay failed, or a newer write touched the row."}
    if waiting:
        return {"colour": "warning", "text": f"{waiting} write{'s' if waiting > 1 else ''} kept safe, waiting for a fix."}
    return {"colour": "success", "text": "All writes are landing."}


def _counts() -> list[tuple[str, int, str]]:
    since = timezone.now() - DAY
    recent = Receipt.objects.filter(at__gte=since)
    version = SchemaVersion.objects.order_by("-epoch").values_list("epoch", flat=True).first() or 0
    pages = {name: reverse(f"admin:healing_{name}_changelist") for name in ("receipt", "quarantineitem", "rule", "apikey")}
    return [
        ("healed, last 24 h", recent.filter(outcome="committed").exclude(fixes=[]).count(), pages["receipt"] + "?outcome=committed"),
        ("kept, last 24 h", QuarantineItem.objects.filter(created_at__gte=since).count(), pages["quarantineitem"]),
        ("replayed, last 24 h", QuarantineItem.objects.filter(replayed_at__gte=since).count(), pages["quarantineitem"] + "?state=replayed"),
        ("waiting now", QuarantineItem.objects.filter(state="waiting").count(), pages["quarantineitem"] + "?state=waiting"),
        ("active rules", Rule.objects.filter(state="active").count(), pages["rule"] + "?state=active"),
        ("schema version", version, reverse("admin:schema_timeline")),
    ]


def _reviews() -> Need | None:
    causes = set(Proposal.objects.filter(state="open").values_list("schema", "table", "signature"))
    if not causes:
        return None
    waiting = QuarantineItem.objects.filter(state__in=["waiting", "parked"])
    groups = waiting.values_list("schema", "table", "signature").annotate(rows=Sum("row_count"), oldest=Min("created_at"))
    held = [(rows, oldest) for s, t, g, rows, oldest in groups if (s, t, g) in causes]
    oldest = (
        f"oldest {distance(min(o for _, o in held))}, {sum(r for r, _ in held)} rows wait for them"
        if held
        else "nothing waits for them now"
    )
    text = f"{len(causes)} fix{'es' if len(causes) > 1 else ''} to approve: {oldest}"
    return Need("warning", text, reverse("admin:healing_review"), "Review")


def _stuck() -> Need | None:
    counts = dict(QuarantineItem.objects.filter(state__in=["parked", "conflict"]).values_list("state").annotate(n=Count("pk")))
    if not counts:
        return None
    words = {"parked": "failed three times", "conflict": "met a newer write"}
    text = "Kept writes that " + " · ".join(f"{words[state]}: {n}" for state, n in sorted(counts.items()))
    return Need("danger", text, reverse("admin:healing_causes"), "Look")


def _deaf(request: HttpRequest) -> Need | None:
    text = deaf() if request.user.has_perm("schema_monitor.view_schemasubscription") else ""
    return Need("danger", text, reverse("admin:schema_monitor_schemasubscription_changelist"), "Look") if text else None


def _breakers(request: HttpRequest) -> list[Need]:
    """Those that are open, by themselves or by a person's hand."""
    if not request.user.has_perm("breakers.view_breakerconfig"):
        return []
    return [_open(card) for card in breakers_facts.cards() if card.urgent]


def _open(card: breakers_facts.Card) -> Need:
    since = card.row.override_at or (card.opened.at if card.opened is not None and card.state == "open" else None)
    text = f"Breaker {card.row.name} is {card.word}{f', {distance(since)}' if since else ''}: {card.sentence.rstrip('.')}"
    return Need("danger", text, reverse("admin:breakers_breakerconfig_change", args=[card.row.pk]), "Look")


def _schema() -> list[Need]:
    """Changes that nobody has put aside: critical ones of a week, and of a day those that break old writers. A rename whose old name is
    followed needs nobody, however busy that name is."""
    now = timezone.now()
    breaking = Q(breaks_old_writers=True, version__taken_at__gte=now - DAY) & ~Q(kind__contains="renamed")
    followed = Q(kind__endswith="_renamed") & ~Q(base_severity="critical")
    critical = Q(severity="critical", version__taken_at__gte=now - 7 * DAY) & ~followed
    changes = SchemaChange.objects.filter(breaking | critical, seen__isnull=True).select_related("version")
    found = list(changes.defer("version__snapshot", "version__lineage", "version__delta").order_by("-pk")[: MOST_CHANGES + 1])
    needs = [_changed(change) for change in found[:MOST_CHANGES]]
    if len(found) > MOST_CHANGES:
        text = "More changes of the schema that nobody has looked at"
        needs.append(Need("warning", text, reverse("admin:schema_timeline") + "?last=7d&severity=critical", "Look"))
    return needs


def _changed(change: SchemaChange) -> Need:
    may_fail = "; callers of before may fail" if change.breaks_old_writers else ""
    word = "Critical schema change" if change.severity == "critical" else "Schema change"
    text = f"{word} {distance(change.version.taken_at)}: {change.sentence.rstrip('.')}{may_fail}"
    colour = "danger" if change.severity == "critical" else "warning"
    return Need(colour, text, reverse("admin:schema_monitor_schemachange_change", args=[change.pk]), "Look")
