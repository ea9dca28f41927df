"""Rules: what they do, how sure we are, what they did, and their end."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.decorators import display

from healing import rules
from healing.admin.doors import ReadOnlyAdmin, door, row_or_404
from healing.core.confidence import lower_bound
from healing.models import Decision, Receipt, Rule
from healing.permits import CHANGE_RULE
from healing.templatetags.mendgate import ago, percent, state


@admin.register(Rule)
class RuleAdmin(ReadOnlyAdmin):
    """State lanes are the filter."""

    list_display = ("sentence", "place", "signature", "shown_state", "evidence", "confidence", "used")
    list_filter = ("state", "source", "table")
    search_fields = ("id", "sentence", "table", "signature")
    change_form_template = "admin/healing/rule.html"

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
        return percent(confidence_of(rule))

    @display(description="Last used", ordering="last_used_at")
    def used(self, rule: Rule) -> str:
        """How long ago."""
        return ago(rule.last_used_at)

    def get_urls(self) -> list[Any]:
        """Our own page before Django's."""
        own = [path("<uuid:pk>/retire/", self.admin_site.admin_view(self.retire), name="healing_retire")]
        return own + super().get_urls()

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
        context = {
            **self.admin_site.each_context(request), "title": rule.sentence, "opts": self.opts, "rule": rule,
            "may_retire": request.user.has_perm(CHANGE_RULE) and rule.state in rules.LIVE,
            "receipts": Receipt.objects.filter(fixes__contains=[{"rule": str(rule.pk)}]).order_by("-at")[:50],
            "decisions": Decision.objects.filter(content_hash=rule.content_hash).order_by("-id")[:50], **_evidence(rule),
        }  # fmt: skip
        return TemplateResponse(request, self.change_form_template, context)


def confidence_of(rule: Rule) -> float:
    """The rate of right heals that the evidence supports at 95 %."""
    return lower_bound(rule.successes, rule.failures + rule.reversals)


def _evidence(rule: Rule) -> dict[str, Any]:
    total, bars, left = rule.successes + rule.failures + rule.reversals, [], 0.0
    for name, count in (("good", rule.successes), ("bad", rule.failures), ("back", rule.reversals)):
        width = 100 * count / total if total else 0.0
        bars.append({"name": name, "count": count, "left": f"{left:.2f}", "width": f"{width:.2f}"})
        left += width
    return {"confidence": confidence_of(rule), "total": total, "bars": bars}
