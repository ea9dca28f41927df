"""Old names: which are still followed, who still uses them, and their end."""

from __future__ import annotations

from typing import Any

from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from msgspec import Struct

from healing import retired_names
from healing.admin.doors import door
from healing.admin.schema_pages import page, viewing
from healing.permits import RETIRE_NAME
from schema_monitor.aliases import Alias, aliases
from schema_monitor.traffic import known

ROWS = 50
STATES = ("in use", "quiet", "retired")


class Card(Struct, frozen=True):
    """An alias and its countdown."""

    alias: Alias
    countdown: str
    most: int
    """The busiest caller's uses, for the bars."""


@viewing
def names(request: HttpRequest) -> HttpResponse:
    """Every former name that lives on: those in use first. ``?state=`` and ``?q=`` narrow it down."""
    every, wanted, words = aliases(), request.GET.get("state", ""), request.GET.get("q", "").strip()
    found = [alias for alias in every if wanted in ("", alias.state) and _holds(alias, words)]
    shown = Paginator([_card(alias) for alias in found], ROWS).get_page(request.GET.get("page"))
    counts = [(state, sum(alias.state == state for alias in every)) for state in STATES]
    return page(
        request, "names", "Old names", rows=shown, counts=counts, total=len(every), words=words, wanted=wanted, since=known().since,
        may_retire=request.user.has_perm(RETIRE_NAME),
    )  # fmt: skip


def retire(request: HttpRequest) -> HttpResponse:
    """Ends a name, with a reason."""

    def act() -> str:
        alias = retired_names.retire(*_decision(request))
        return f"Retired: {alias.name} is no longer followed to {alias.now}. Callers who still send it get an error that says today's name."

    return door(request, RETIRE_NAME, act, reverse("admin:schema_names"))


def restore(request: HttpRequest) -> HttpResponse:
    """Takes that back."""

    def act() -> str:
        alias = retired_names.restore(*_decision(request))
        return f"{alias.name} is followed to {alias.now} again."

    return door(request, RETIRE_NAME, act, reverse("admin:schema_names"))


def _decision(request: HttpRequest) -> tuple[str, Any, str]:
    return request.POST.get("alias", ""), request.user, request.POST.get("why", "")


def _card(alias: Alias) -> Card:
    return Card(alias, alias.countdown(timezone.now()), max((caller.uses for caller in alias.callers), default=1))


def _holds(alias: Alias, words: str) -> bool:
    text = " ".join((alias.schema, alias.place, alias.name, alias.now, *(caller.name for caller in alias.callers)))
    return words.casefold() in text.casefold()
