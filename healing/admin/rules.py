"""Rules: what they do, how sure we are, what they did, and their end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.decorators import display

from healing import proof, rules
from healing.admin.doors import ReadOnlyAdmin, door, pack_file, row_or_404
from healing.models import Receipt, Rule
from healing.permits import CHANGE_RULE, REPLAY
from healing.rule_facts import approvals_of, history_of, lanes, weight_of
from healing.take_back.orders import writes_of
from healing.templatetags.mendgate import ago, percent, state

MOST_RECEIPTS = 50


class ByItself(admin.SimpleListFilter):
    """Rules that became active without a click."""

    title, parameter_name = "by itself", "certified"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """One choice."""
        return [("1", "active without a click")]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """Those, if asked for."""
        return queryset.filter(certified_at__isnull=False) if self.value() == "1" else queryset


@admin.register(Rule)
class RuleAdmin(ReadOnlyAdmin):
    """State lanes are the filter."""

    list_display = ("sentence", "place", "signature", "shown_state", "evidence", "confidence", "used")
    list_filter = ("state", ByItself, "source", "table")
    search_fields = ("id", "sentence", "table", "signature")
    change_form_template = "admin/healing/rule.html"
    change_list_template = "admin/healing/rule_list.html"

    @display(description="Table")
    def place(self, rule: Rule) -> str:
        """Schema and table."""
        return f"{rule.schema}.{rule.table or '*'}"

    @display(description="State", ordering="state")
    def shown_state(self, rule: Rule) -> str:
        """Colour and word."""
        return state(rule.state)

    @display(description="Healed · failed · taken back")
    def evidence(self, rule: Rule) -> str:
        """Counts."""
        return f"{rule.successes} · {rule.failures} · {rule.reversals}"

    @display(description="Right at least")
    def confidence(self, rule: Rule) -> str:
        """Lower bound, 95 %."""
        return percent(weight_of(rule).low)

    @display(description="Last used", ordering="last_used_at")
    def used(self, rule: Rule) -> str:
        """How long ago."""
        return ago(rule.last_used_at)

    def get_urls(self) -> list[Any]:
        """Our own pages before Django's."""
        view = self.admin_site.admin_view
        own = [
            path("<uuid:pk>/retire/", view(self.retire), name="healing_retire"),
            path("<uuid:pk>/proof.json", view(self.proof_file), name="healing_rule_proof_file"),
        ]
        return own + super().get_urls()

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Lanes by state; with a query, Django's list."""
        if request.GET:
            return super().changelist_view(request, {"lanes": reverse("admin:healing_rule_changelist"), **(extra_context or {})})
        self.require_view(request)
        context = {**self.admin_site.each_context(request), "title": "Rules", "opts": self.opts, "lanes": lanes()}
        return TemplateResponse(request, "admin/healing/rules.html", context)

    def proof_file(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        """The proof pack as it would be today."""
        self.require_view(request)
        rule = get_object_or_404(Rule, pk=pk)
        return pack_file(lambda: proof.of_rule(rule), f"proof-{pk}.json")

    def retire(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Ends a rule, with a reason."""

        def act() -> str:
            rules.retire(get_object_or_404(Rule, pk=pk), request.user, request.POST.get("why", ""))
            return "Retired; gateways stop using it now."

        return door(request, CHANGE_RULE, act, reverse("admin:healing_rule_change", args=[pk]))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """Sentence, evidence, history, the writes it touched."""
        self.require_view(request)
        rule = row_or_404(Rule.objects.select_related("approved_by"), object_id)
        receipts = Receipt.objects.filter(fixes__contains=[{"rule": str(rule.pk)}]).order_by("-at")
        context = {
            **self.admin_site.each_context(request), "title": rule.sentence, "opts": self.opts, "rule": rule,
            "may_retire": request.user.has_perm(CHANGE_RULE) and rule.state in rules.LIVE, "receipts": receipts[:MOST_RECEIPTS],
            "decisions": history_of(rule), "weight": weight_of(rule), "approvals": approvals_of(rule), "pack": rule.proof or None,
            "proposal": rule.proposal_set.first(),
            "stored": writes_of(rule).count(), "take_backs": rule.take_backs.select_related("asked_by")[:5],
            "may_take_back": request.user.has_perm(REPLAY) and (request.user.has_perm(CHANGE_RULE) or rule.state not in rules.LIVE),
        }  # fmt: skip
        return TemplateResponse(request, self.change_form_template, context)
