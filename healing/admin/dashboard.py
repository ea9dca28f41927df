"""The index: is all well, and what needs me? Each line of "needs you" is a sentence with the page that settles it."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db import OperationalError
from django.db.models import Count, Exists, Min, OuterRef, Q, Sum
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from msgspec import Struct

from healing.admin import ai_needs, breakers_facts
from healing.admin.alert_needs import deaf
from healing.dashboard.asked import Asked, read
from healing.dashboard.facts import PATIENCE
from healing.dashboard.filters import a_table, filters
from healing.dashboard.look import arrived, look
from healing.models import Proposal, QuarantineItem, SchemaFix
from healing.templatetags.mendgate import distance
from metrics import timelines
from metrics.core.summary import NUMBERS, Number
from metrics.models import Trigger
from schema_monitor.models import SchemaChange

VIEW = "healing.view_quarantineitem"
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
    if not request.user.has_perm(VIEW):
        return {**given, "mendgate": None}
    asked = read(request.GET, timezone.now())
    shown: dict[str, Any] = {"asked": asked, "query": asked.query(), "number": _number(request)}
    try:
        with timelines.one_moment(PATIENCE):
            shown |= {**_parts(request, asked), "filters": filters(asked), "first": first_write(request)}
    except OperationalError:
        shown["slow"] = True
    return {**given, "title": "Dashboard", "mendgate": shown}


def live(request: HttpRequest) -> HttpResponse:
    """The parts of the page that change while somebody watches, as HTML by their name."""
    if not request.user.has_perm(VIEW):
        raise PermissionDenied
    try:
        with timelines.one_moment(PATIENCE):
            found = _parts(request, read(request.GET, timezone.now()))
    except OperationalError:
        return JsonResponse({"slow": True}, status=503)
    answer = JsonResponse({"parts": _rendered(request, found)})
    add_never_cache_headers(answer)
    return answer


def first_write(request: HttpRequest) -> dict[str, Any]:
    """The three steps of a newcomer, until the first write came."""
    came = arrived()
    table = "" if came else a_table()
    return {"arrived": came, "base": request.build_absolute_uri("/").rstrip("/"), "table": table or "YOUR_TABLE"}


def _parts(request: HttpRequest, asked: Asked) -> dict[str, Any]:
    needs = [
        need
        for need in (_reviews(), _homeless(), _stuck(), _deaf(request), *_breakers(request), *_ai(request), *_schema(), *_firing(request))
        if need is not None
    ]
    return {"look": look(asked), "needs": needs, "asked": asked}


def _rendered(request: HttpRequest, found: dict[str, Any]) -> dict[str, str]:
    def render(part: str, **more: Any) -> str:
        return render_to_string(f"admin/dashboard/_{part}.html", {"mendgate": found, **more}, request)

    rows = {f"{part}-{row.name}": render(part, row=row) for row in found["look"].rows for part in ("now", "trend", "move")}
    return {**{part: render(part) for part in ("state", "needs", "flow", "misfits")}, **rows}


def _number(request: HttpRequest) -> Number:
    """The number whose chart is open."""
    wanted = request.GET.get("number", "")
    return next((number for number in NUMBERS if number.name == wanted), NUMBERS[0])


def _reviews() -> Need | None:
    open_now = Proposal.objects.filter(~Q(snoozed_until__gt=timezone.now()), state="open")
    causes = set(open_now.values_list("schema", "table", "signature"))
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


def _homeless() -> Need | None:
    """Kept writes for whose cause nobody found a fix, and about which nobody decided."""
    place = ("schema", "table", "signature")
    known = (model.objects.filter(**{name: OuterRef(name) for name in place}) for model in (Proposal, SchemaFix))
    waiting = QuarantineItem.objects.filter(*(~Exists(rows) for rows in known), state="waiting")
    found = waiting.aggregate(n=Count("pk"), oldest=Min("created_at"))
    if not found["n"]:
        return None
    text = f"{found['n']} kept write{'s' if found['n'] > 1 else ''} without a fix that anybody knows: oldest {distance(found['oldest'])}"
    return Need("warning", text, reverse("admin:healing_causes"), "Decide")


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


def _ai(request: HttpRequest) -> list[Need]:
    """Keys that providers refuse, budgets that are used up."""
    if not request.user.has_perm("breakers.view_aicredential"):
        return []
    keys, allowances = "admin:breakers_aicredential_changelist", "admin:breakers_aiallowance_changelist"
    said = (("danger", ai_needs.keyless(), keys), ("warning", ai_needs.refused(), keys), ("warning", ai_needs.used_up(), allowances))
    return [Need(colour, text, reverse(page), "Look") for colour, text, page in said if text]


def _open(card: breakers_facts.Card) -> Need:
    since = card.row.override_at or (card.opened.at if card.opened is not None and card.state == "open" else None)
    how_long = f" since {distance(since).removesuffix(' ago')}" if since else ""
    text = f"Breaker {card.row.name} is {card.word}{how_long}: {card.sentence.rstrip('.')}"
    return Need("danger", text, reverse("admin:breakers_breakerconfig_change", args=[card.row.pk]), "Look")


def _firing(request: HttpRequest) -> list[Need]:
    """Triggers that fire and that nobody took note of."""
    if not request.user.has_perm("metrics.view_trigger"):
        return []
    link = reverse("admin:metrics_trigger_changelist")
    firing = Trigger.objects.filter(ended=None, looked_at_by="").order_by("-since")[:MOST_CHANGES]
    return [Need("danger", f"{row.sentence.rstrip('.')}; began {distance(row.since)}", link, "Look") for row in firing]


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
