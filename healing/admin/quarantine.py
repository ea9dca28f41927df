"""Kept writes: grouped by cause, as a list without values, and one by one with everything."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.http.response import HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.text import slugify
from unfold.decorators import display

from healing import approval, causes, kept_export, quarantine, replay_orders
from healing.admin.bounded import BoundedPaginator
from healing.admin.chosen import OfRole, OfTable
from healing.admin.doors import ReadOnlyAdmin, closed, door, download, row_or_404
from healing.admin.receipts import OperationFilter
from healing.admin.replays import facts
from healing.binding import bond_of
from healing.checked_fix import fix_of
from healing.gateway.seal import SealError
from healing.models import Proposal, QuarantineItem
from healing.permits import DECIDE, REPLAY
from healing.preview import preview
from healing.row_diff import sent_only
from healing.schema_fixes.offers import Offers, offers_for
from healing.sealed_rows import claims_of, rows_of
from healing.templatetags.mendgate import ago, state

MOST_OFFERED = 30


@admin.register(QuarantineItem)
class QuarantineAdmin(ReadOnlyAdmin):
    """Nothing here shows a value except the page of one write."""

    list_display = ("write", "cause", "shown_state", "rows", "caller", "arrived")
    list_filter = ("state", OfTable, OperationFilter, "automatic", OfRole)
    show_full_result_count = False
    paginator = BoundedPaginator
    search_fields = ("id", "table", "signature", "subject", "receipt")
    ordering = ("-number",)
    list_select_related = ("key",)
    change_form_template = "admin/healing/quarantine_item.html"
    change_list_template = "admin/healing/quarantine_list.html"

    @display(description="Write")
    def write(self, item: QuarantineItem) -> str:
        """Operation and table."""
        return f"{item.operation} {item.schema}.{item.table}"

    @display(description="What did not fit")
    def cause(self, item: QuarantineItem) -> str:
        """The signature and the database's code."""
        return f"{item.signature} ({item.error.get('code')})"

    @display(description="State", ordering="state")
    def shown_state(self, item: QuarantineItem) -> str:
        """Colour and word."""
        return state(item.state)

    @display(description="Rows", ordering="row_count")
    def rows(self, item: QuarantineItem) -> int:
        """How many rows the write has."""
        return item.row_count

    @display(description="Caller")
    def caller(self, item: QuarantineItem) -> str:
        """Key and role."""
        return f"{item.key.name if item.key else 'no key'} ({item.role})"

    @display(description="Arrived", ordering="number")
    def arrived(self, item: QuarantineItem) -> str:
        """How long ago."""
        return ago(item.created_at)

    def get_urls(self) -> list[Any]:
        """Our own pages before Django's."""
        own = [
            path("causes/", self.admin_site.admin_view(self.causes_view), name="healing_causes"),
            path("causes/export.jsonl", self.admin_site.admin_view(self.export), name="healing_cause_export"),
            path("causes/act/", self.admin_site.admin_view(self.cause_act), name="healing_cause_act"),
            path("<uuid:pk>/replay/", self.admin_site.admin_view(self.replay_one), name="healing_replay_one"),
            path("<uuid:pk>/write/", self.admin_site.admin_view(self.write_fix), name="healing_write_fix"),
            path("<uuid:pk>/discard/", self.admin_site.admin_view(self.discard_one), name="healing_discard_one"),
        ]
        return own + super().get_urls()

    def causes_view(self, request: HttpRequest) -> HttpResponse:
        """What waits, one line a cause."""
        self.require_view(request)
        context = {
            **self.admin_site.each_context(request), "title": "Quarantine by cause", "opts": self.opts,
            "groups": _with_offers(causes.waiting_causes()), "replays": [facts(order) for order in replay_orders.under_way()],
            "may_replay": request.user.has_perm(REPLAY), "may_decide": request.user.has_perm(DECIDE),
        }  # fmt: skip
        return TemplateResponse(request, "admin/healing/causes.html", context)

    def cause_act(self, request: HttpRequest) -> HttpResponse:
        """Replays or discards everything of a cause."""
        place = tuple(request.POST.get(name, "") for name in ("schema", "table", "signature"))

        def act() -> str:
            ids = causes.ids_of(*place)
            if request.POST.get("action") == "discard":
                return f"{quarantine.discard(ids, request.user, request.POST.get('why', ''))} writes were discarded."
            order = replay_orders.order_items(ids, request.user, f"cause {place[2]} in {place[1]}")
            return f"Replay of {order.total} writes was ordered." if order else "Nothing of this cause waits outside a running replay."

        return door(request, REPLAY, act, reverse("admin:healing_causes"))

    def export(self, request: HttpRequest) -> HttpResponseBase:
        """What waits for a cause, with its payloads."""
        if request.method != "POST":
            return HttpResponseNotAllowed(["POST"])
        if not request.user.has_perm(REPLAY):
            raise PermissionDenied
        schema, table, signature = (request.POST.get(name, "") for name in ("schema", "table", "signature"))
        return download(kept_export.export(schema, table, signature, request.user), f"kept-{slugify(table)}.jsonl", "application/jsonl")

    def replay_one(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Orders the replay of one write."""

        def act() -> str:
            order = replay_orders.order_items([pk], request.user)
            return "The replay was ordered; this page shows how it ends." if order else "It is in a running replay, or it is through."

        return door(request, REPLAY, act, reverse("admin:healing_quarantineitem_change", args=[pk]))

    def write_fix(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """A person's own fix for the cause of this write."""

        def act() -> str:
            item = row_or_404(QuarantineItem, str(pk))
            fix = fix_of(request.POST.get("fix", ""))
            return f"Proposed: {approval.write(item.schema, item.table, item.signature, fix, request.user).sentence}"

        return door(request, DECIDE, act, reverse("admin:healing_quarantineitem_change", args=[pk]))

    def discard_one(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Gives up on one write, with a reason."""

        def act() -> str:
            quarantine.discard([pk], request.user, request.POST.get("why", ""))
            return "Discarded; the payload stays for the record."

        return door(request, REPLAY, act, reverse("admin:healing_quarantineitem_change", args=[pk]))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One write with everything: sent and after the best proposal, error, proposals, timeline."""
        self.require_view(request)
        item = row_or_404(QuarantineItem.objects.select_related("key", "replay"), object_id)
        title = f"{item.operation} into {item.schema}.{item.table}"
        try:
            details = _details(item)
        except SealError as error:
            return closed(request, self, title, error)
        context = {
            **self.admin_site.each_context(request), "title": title, "opts": self.opts,
            "item": item, "may_replay": request.user.has_perm(REPLAY), "may_decide": request.user.has_perm(DECIDE), **details,
        }  # fmt: skip
        return TemplateResponse(request, self.change_form_template, context)


def _with_offers(groups: list[causes.Cause]) -> list[tuple[causes.Cause, Offers | None]]:
    """The causes with most writes, each with what the schema could become."""
    offers = offers_for((g.schema, g.table, g.signature) for g in groups[:MOST_OFFERED])
    return [(g, offers.get((g.schema, g.table, g.signature))) for g in groups]


def _details(item: QuarantineItem) -> dict[str, Any]:
    cause = Proposal.objects.filter(schema=item.schema, table=item.table, signature=item.signature)
    proposals = list(cause.exclude(state="superseded").order_by("state", "-probability"))
    best = next((p for p in proposals if p.state in ("open", "approved")), None)
    rows = rows_of(item)
    after = preview(item, best.fix, values=True) if best else None
    offers = offers_for([(item.schema, item.table, item.signature)]).popitem()[1]
    return {
        "each": offers, "proposals": [(p, bond_of(p).token) for p in proposals], "best": best, "after": after,
        "claims": claims_of(item), "rows": rows,
        "right": "After the best proposal" if best else "Not stored",
        "lines": after.lines if after else sent_only(rows[0] if rows else {}),
        "progress": replay_orders.progress(item.replay) if item.replay else None,
    }  # fmt: skip
