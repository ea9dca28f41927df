"""The review queue: is this rule right?"""

from __future__ import annotations

from datetime import timedelta
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from unfold.decorators import display

from healing import approval, proof, second_thoughts
from healing.admin.doors import ReadOnlyAdmin, door, pack_file, row_or_404
from healing.checked_fix import fix_of
from healing.models import Proposal, Rule
from healing.permits import DECIDE
from healing.review import Card, card_of, queue
from healing.templatetags.mendgate import ago, percent, state


@admin.register(Proposal)
class ProposalAdmin(ReadOnlyAdmin):
    """The list is for looking things up; the queue is for deciding."""

    list_display = ("sentence", "place", "signature", "shown_probability", "source", "shown_state", "made")
    list_filter = ("state", "source", "table")
    search_fields = ("id", "sentence", "table", "signature")
    ordering = ("-created_at",)
    change_list_template = "admin/healing/proposal_list.html"

    @display(description="Table")
    def place(self, proposal: Proposal) -> str:
        """Schema and table."""
        return f"{proposal.schema}.{proposal.table}"

    @display(description="Probability", ordering="probability")
    def shown_probability(self, proposal: Proposal) -> str:
        """As a percentage."""
        return percent(proposal.probability)

    @display(description="State", ordering="state")
    def shown_state(self, proposal: Proposal) -> str:
        """Colour and word."""
        return state(proposal.state)

    @display(description="Proposed", ordering="created_at")
    def made(self, proposal: Proposal) -> str:
        """How long ago."""
        return ago(proposal.created_at)

    def get_urls(self) -> list[Any]:
        """Our own pages before Django's."""
        view = self.admin_site.admin_view
        own = [
            path("queue/", view(self.queue), name="healing_review"),
            path("<uuid:pk>/approve/", view(self.approve), name="healing_approve"),
            path("<uuid:pk>/reject/", view(self.reject), name="healing_reject"),
            path("<uuid:pk>/edit/", view(self.edit), name="healing_edit"),
            path("<uuid:pk>/snooze/", view(self.snooze), name="healing_snooze"),
            path("<uuid:pk>/proof.json", view(self.proof_file), name="healing_proof_file"),
            path("undo/", view(self.undo), name="healing_undo_decision"),
            path("approve-many/", view(self.approve_many), name="healing_approve_many"),
        ]
        return own + super().get_urls()

    def queue(self, request: HttpRequest) -> HttpResponse:
        """Open proposals: most waiting rows first."""
        self.require_view(request)
        snoozed = "snoozed" in request.GET
        found = queue(request.user, snoozed=snoozed)
        more = {"more": found.more, "put_off": found.snoozed, "snoozed": snoozed, "bulk": sum(card.harmless for card in found.cards)}
        return self._page(request, "Put off" if snoozed else "Review queue", found.cards, more)

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One proposal, as a card of the queue."""
        self.require_view(request)
        proposal = row_or_404(Proposal, object_id)
        return self._page(request, str(proposal), [card_of(proposal, request.user)], {})

    def approve(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Says yes, to what the page showed."""

        def act() -> str:
            proposal = get_object_or_404(Proposal, pk=pk)
            rule = approval.approve(proposal, request.user, request.POST.get("note", ""), request.POST.get("seen", ""))
            return _approved(rule) if rule else "Your yes is noted; it becomes a rule when enough people have said so."

        return door(request, DECIDE, act, reverse("admin:healing_review"))

    def reject(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Says no, with a reason."""

        def act() -> str:
            approval.reject(get_object_or_404(Proposal, pk=pk), request.user, request.POST.get("why", ""))
            return "Rejected; the writes keep waiting for another fix."

        return door(request, DECIDE, act, reverse("admin:healing_review"))

    def edit(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Proposes another fix for the same cause."""

        def act() -> str:
            written = approval.edit(get_object_or_404(Proposal, pk=pk), fix_of(request.POST.get("fix", "")), request.user)
            return f"Proposed instead: {written.sentence}"

        return door(request, DECIDE, act, reverse("admin:healing_review"))

    def snooze(self, request: HttpRequest, pk: UUID) -> HttpResponse:
        """Not now."""

        def act() -> str:
            until = timezone.now() + timedelta(hours=_hours(request.POST.get("hours", "")))
            second_thoughts.snooze(get_object_or_404(Proposal, pk=pk), until, request.user)
            return "Put off; the writes wait on."

        return door(request, DECIDE, act, reverse("admin:healing_review"))

    def undo(self, request: HttpRequest) -> HttpResponse:
        """Takes the person's own last decision back."""

        def act() -> str:
            undone = second_thoughts.undo_last(request.user)
            landed = f" {undone.landed} writes landed by it meanwhile; they stay." if undone.landed else ""
            return f"Taken back ({undone.action}): {undone.proposal.sentence}.{landed}"

        return door(request, DECIDE, act, reverse("admin:healing_review"))

    def approve_many(self, request: HttpRequest) -> HttpResponse:
        """Says yes to the chosen ones that are exact, each on its own."""

        def act() -> str:
            chosen = [(pk, seen) for pk, _, seen in (value.partition("|") for value in request.POST.getlist("chosen"))]
            done = approval.approve_many(chosen, request.user, request.POST.get("note", ""))
            for sentence, why in done.refused:
                messages.error(request, f"{sentence}: {why}")
            return f"{len(done.rules)} approved" + (f", {done.waiting} noted until more people say yes" if done.waiting else "") + "."

        return door(request, DECIDE, act, reverse("admin:healing_review"))

    def proof_file(self, request: HttpRequest, pk: UUID) -> HttpResponseBase:
        """The whole proof pack; it holds no values."""
        self.require_view(request)
        proposal = get_object_or_404(Proposal, pk=pk)
        return pack_file(lambda: proof.of_proposal(proposal), f"proof-{pk}.json")

    def _page(self, request: HttpRequest, title: str, shown: list[Card], more: dict[str, Any]) -> HttpResponse:
        may = request.user.has_perm(DECIDE)
        context = {
            **self.admin_site.each_context(request), "title": title, "opts": self.opts, "cards": shown,
            "may_decide": may, "last": second_thoughts.last_of(request.user) if may else None, **more,
        }  # fmt: skip
        return TemplateResponse(request, "admin/healing/review.html", context)


def _hours(text: str) -> int:
    return int(text) if text.isdecimal() and len(text) < 4 else 24


def _approved(rule: Rule) -> str:
    order = rule.replay_set.order_by("-created_at").first()
    waiting = f" {order.total} waiting writes are being replayed." if order else ""
    return f"Approved: {rule.sentence.rstrip('.')}.{waiting}"
