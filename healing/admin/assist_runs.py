"""Every asking of the AI: what it cost, what was answered, what became of it."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.decorators import display

from healing.admin.doors import ReadOnlyAdmin, door, row_or_404
from healing.assist import runs, score
from healing.assist.models import AssistRun
from healing.permits import DECIDE
from healing.templatetags.mendgate import ago, badge


@admin.register(AssistRun)
class AssistRunAdmin(ReadOnlyAdmin):
    """Nothing here shows a value."""

    list_display = ("cause", "shown_verdict", "model", "prompt", "agreement", "shown_cost", "shown_seconds", "when")
    list_filter = ("verdict", "state", "model", "agreement", "table")
    search_fields = ("id", "table", "content_hash")
    ordering = ("-created_at",)
    change_form_template = "admin/healing/assist_run.html"

    @display(description="Cause")
    def cause(self, run: AssistRun) -> str:
        """Table and what did not fit."""
        return f"{run.schema}.{run.table}: {run.signature}"

    @display(description="Verdict", ordering="verdict")
    def shown_verdict(self, run: AssistRun) -> str:
        """Colour and word."""
        return verdict(run)

    @display(description="Cost", ordering="cost")
    def shown_cost(self, run: AssistRun) -> str:
        """In US dollars."""
        return f"${run.cost:.4f}" if run.asked else "–"

    @display(description="Took", ordering="seconds")
    def shown_seconds(self, run: AssistRun) -> str:
        """The call."""
        return f"{run.seconds:.1f} s" if run.asked else "–"

    @display(description="When", ordering="created_at")
    def when(self, run: AssistRun) -> str:
        """How long ago."""
        return ago(run.created_at)

    def get_urls(self) -> list[object]:
        """The button's door, before Django's pages."""
        own = [path("ask/", self.admin_site.admin_view(self.ask), name="healing_ask_ai")]
        return own + super().get_urls()

    def ask(self, request: HttpRequest) -> HttpResponse:
        """Asks the AI about a cause."""

        def act() -> str:
            given = request.POST
            place = given.get("schema", ""), given.get("table", ""), given.get("signature", "")
            runs.request(*place, request.user.get_username())
            return "The AI is being asked; what it proposes comes into the review queue."

        return door(request, DECIDE, act, reverse("admin:healing_causes"))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: object = None) -> HttpResponse:
        """One asking with everything."""
        self.require_view(request)
        run = row_or_404(AssistRun.objects.select_related("prompt", "proposal"), object_id)
        context = {
            **self.admin_site.each_context(request), "title": f"AI run for {run.schema}.{run.table}", "opts": self.opts, "run": run,
            "verdict": verdict(run), "healed": run.healed.order_by("number")[:50], "all": score.since(),
        }  # fmt: skip
        return TemplateResponse(request, self.change_form_template, context)


_COLOURS = {"proven": "done", "proposed": "open", "abstained": "quiet", "invalid": "failed", "failed": "failed"}


def verdict(run: AssistRun) -> str:
    """The verdict, or what it waits for."""
    word = run.verdict or {"due": "waiting", "working": "running"}.get(run.state, run.state)
    return badge(word, _COLOURS.get(word, word))
