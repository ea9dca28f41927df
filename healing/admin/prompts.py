"""What the AI is told, in versions: how each one did, what differs, which one is used."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.decorators import display

from healing.admin.doors import ReadOnlyAdmin, door
from healing.assist import prompts, score
from healing.assist.models import Prompt
from healing.permits import CHANGE_PROMPT
from healing.refusals import DoesNotFit
from healing.templatetags.mendgate import ago, state


@admin.register(Prompt)
class PromptAdmin(ReadOnlyAdmin):
    """A version is written and made active, never changed."""

    list_display = ("shown_version", "shown_state", "asked", "right", "wrong", "invalid", "abstained", "cost", "author", "made")
    ordering = ("-version",)
    list_filter = ("active", "author")
    change_form_template = "admin/healing/prompt.html"

    @display(description="Version", ordering="version")
    def shown_version(self, prompt: Prompt) -> str:
        """As receipts name it."""
        return str(prompt)

    @display(description="State", ordering="active")
    def shown_state(self, prompt: Prompt) -> str:
        """Colour and word."""
        return state("active") if prompt.active else state("not used")

    @display(description="Asked")
    def asked(self, prompt: Prompt) -> int:
        """How often a model was called with it."""
        return score.of_prompt(prompt).asked

    @display(description="Right")
    def right(self, prompt: Prompt) -> int:
        """Approved by a person, or applied and not taken back."""
        return score.of_prompt(prompt).right

    @display(description="Wrong")
    def wrong(self, prompt: Prompt) -> int:
        """Rejected, or taken back."""
        return score.of_prompt(prompt).wrong

    @display(description="No valid answer")
    def invalid(self, prompt: Prompt) -> int:
        """Answers that were none."""
        return score.of_prompt(prompt).invalid

    @display(description="Abstained")
    def abstained(self, prompt: Prompt) -> int:
        """The model was not sure."""
        return score.of_prompt(prompt).abstained

    @display(description="Cost")
    def cost(self, prompt: Prompt) -> str:
        """In US dollars."""
        return f"${score.of_prompt(prompt).cost:.4f}"

    @display(description="Written", ordering="created_at")
    def made(self, prompt: Prompt) -> str:
        """How long ago."""
        return ago(prompt.created_at)

    def get_urls(self) -> list[Any]:
        """Our own pages before Django's."""
        view = self.admin_site.admin_view
        own = [
            path("write/", view(self.write), name="healing_prompt_write"),
            path("<int:pk>/activate/", view(self.activate), name="healing_prompt_activate"),
        ]
        return own + super().get_urls()

    def write(self, request: HttpRequest) -> HttpResponse:
        """A new version from a form."""

        def act() -> str:
            given = request.POST
            written = prompts.write(
                given.get("system", ""), given.get("task", ""), request.user, given.get("why", ""), **_sampling(given)
            )  # fmt: skip
            return f"{written} was written; it is not used before somebody activates it."

        return door(request, CHANGE_PROMPT, act, reverse("admin:healing_prompt_changelist"))

    def activate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Uses this version."""

        def act() -> str:
            prompt = get_object_or_404(Prompt, pk=pk)
            prompts.activate(prompt, request.user, request.POST.get("why", ""))
            return f"{prompt} is used from the next question on."

        return door(request, CHANGE_PROMPT, act, reverse("admin:healing_prompt_change", args=[pk]))

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One version: its text, how it did, what differs from another."""
        self.require_view(request)
        if not object_id.isdecimal():
            raise Http404
        prompt = get_object_or_404(Prompt, pk=object_id)
        others = list(Prompt.objects.filter(name=prompt.name).exclude(pk=prompt.pk))
        other = next((p for p in others if str(p.version) == request.GET.get("against")), None)
        other = other or next((p for p in others if p.version < prompt.version), None)
        context = {
            **self.admin_site.each_context(request), "title": str(prompt), "opts": self.opts, "prompt": prompt, "others": others,
            "other": other, "lines": prompts.diff(other, prompt) if other else [], "score": score.of_prompt(prompt),
            "runs": prompt.runs.order_by("-created_at")[:20], "decisions": prompts.decisions(prompt),
            "may_change": request.user.has_perm(CHANGE_PROMPT),
        }  # fmt: skip
        return TemplateResponse(request, self.change_form_template, context)


def _sampling(given: Any) -> dict[str, Any]:
    try:
        return {"temperature": float(given.get("temperature") or 0), "max_tokens": int(given.get("max_tokens") or 300)}
    except ValueError as error:
        raise DoesNotFit("Temperature and tokens are numbers.") from error
