"""Schema proposals: for each cause the migrations that would let what waits land, the ways around them, and what was decided."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils.http import urlencode
from unfold.decorators import display

from healing import approval, causes
from healing.admin.doors import ReadOnlyAdmin, door, row_or_404
from healing.impact import CHECK
from healing.models import SchemaFix
from healing.permits import DECIDE, MIGRATE
from healing.refusals import NotFound, Refused
from healing.schema_fixes import decide
from healing.schema_fixes.offers import Place, offers_for
from healing.schema_fixes.told import named, written
from healing.templatetags.mendgate import ago, state

MOST_CAUSES = 30


@admin.register(SchemaFix)
class SchemaFixAdmin(ReadOnlyAdmin):
    """The list holds what was decided; the queue holds what could be."""

    list_display = ("sentence", "place", "shown_state", "who_runs", "decided_by", "decided")
    list_filter = ("state", "kind", "by_us", "table")
    search_fields = ("id", "sentence", "table", "signature")
    change_form_template = "admin/healing/schema_fix.html"

    @display(description="Table")
    def place(self, fix: SchemaFix) -> str:
        """Schema and table."""
        return f"{fix.schema}.{fix.table}"

    @display(description="State", ordering="state")
    def shown_state(self, fix: SchemaFix) -> str:
        """Colour and word."""
        return state(fix.state)

    @display(description="Run by")
    def who_runs(self, fix: SchemaFix) -> str:
        """Us, or a person elsewhere."""
        return "Mendgate" if fix.by_us else "a person"

    @display(description="Decided", ordering="decided_at")
    def decided(self, fix: SchemaFix) -> str:
        """How long ago."""
        return ago(fix.decided_at)

    def get_urls(self) -> list[Any]:
        """Our own pages before Django's."""
        view = self.admin_site.admin_view
        own = [
            path("queue/", view(self.queue), name="healing_schema_fixes"),
            path("<uuid:pk>/file/", view(self.file), name="healing_schema_fix_file"),
            path("<uuid:pk>/approve/", view(self.approve), name="healing_schema_fix_approve"),
            path("<uuid:pk>/reject/", view(self.reject), name="healing_schema_fix_reject"),
            path("instead/", view(self.instead), name="healing_schema_fix_instead"),
        ]
        return own + super().get_urls()

    def queue(self, request: HttpRequest) -> HttpResponse:
        """One cause where the address names it, else those with most waiting writes."""
        self.require_view(request)
        asked = _place(request.GET)
        places = [asked] if asked[1] else [(c.schema, c.table, c.signature) for c in causes.waiting_causes()[:MOST_CAUSES]]
        offers = [each for each in offers_for(places).values() if asked[1] or each.schema]
        context = {
            **self.admin_site.each_context(request), "title": "Schema proposals", "opts": self.opts, "offers": offers,
            "one": bool(asked[1]), "may_decide": request.user.has_perm(DECIDE),
            "may_check": request.user.has_perm(CHECK), "may_run": decide.may_run() and request.user.has_perm(MIGRATE),
            "allowed": decide.may_run(), "decided": SchemaFix.objects.select_related("decided_by", "replay")[:10],
        }  # fmt: skip
        return TemplateResponse(request, "admin/healing/schema_fixes.html", context)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One that was decided: its SQL, who ran it, what came of it."""
        self.require_view(request)
        fix = row_or_404(SchemaFix.objects.select_related("decided_by", "replay"), object_id)
        context = {**self.admin_site.each_context(request), "title": fix.sentence, "opts": self.opts, "fix": fix}
        return TemplateResponse(request, self.change_form_template, context)

    def file(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """The migration to download."""
        self.require_view(request)
        place = _place(request.GET)
        try:
            offer = decide.offer_of(pk, place)
        except NotFound as error:
            raise Http404(error.message) from error
        answer = HttpResponse(written(offer, offers_for([place])[place]), content_type="application/sql; charset=utf-8")
        answer["Content-Disposition"] = f'attachment; filename="{named(offer)}"'
        return answer

    def approve(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Says yes; with ``run`` Mendgate runs it."""

        def act() -> str:
            run = request.POST.get("run") == "yes"
            fix = decide.approve(_place(request.POST), pk, request.user, run=run, note=request.POST.get("note", ""))
            if fix.state == SchemaFix.State.LANDED:
                return "Approved. The schema has it already; what waits is being replayed."
            if fix.state == SchemaFix.State.PARTLY:
                return "You agreed; more people must, before it is run."
            return "Approved; a worker runs it now." if run else "Approved. Run it yourself; what waits is replayed once the schema has it."

        return door(request, DECIDE, act, _back(request))

    def reject(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Says no, with a reason."""

        def act() -> str:
            decide.reject(_place(request.POST), pk, request.user, request.POST.get("why", ""))
            return "Rejected; it is not offered again for this cause."

        return door(request, DECIDE, act, _back(request))

    def instead(self, request: HttpRequest) -> HttpResponse:
        """Proposes a way without DDL as a fix, which still has to be approved."""
        back = [_back(request)]

        def act() -> str:
            place, number = _place(request.POST), request.POST.get("number", "")
            ways = offers_for([place])[place].instead
            if not number.isdecimal() or int(number) >= len(ways):
                raise Refused("This way is not open any more.", "Look at the page again.")
            proposal = approval.write(*place, [dict(op) for op in ways[int(number)].fix], request.user)
            back[0] = reverse("admin:healing_proposal_change", args=[proposal.pk])
            return "Proposed. Approve it here to make it a rule."

        answer = door(request, DECIDE, act, back[0])
        if answer.status_code == 302:
            answer["Location"] = back[0]
        return answer


def _place(said: Any) -> Place:
    return said.get("schema", ""), said.get("table", ""), said.get("signature", "")


def _back(request: HttpRequest) -> str:
    schema, table, signature = _place(request.POST)
    return f"{reverse('admin:healing_schema_fixes')}?{urlencode({'schema': schema, 'table': table, 'signature': signature})}"
