"""Breakers: the board, each breaker's page, and what a person may do about them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect, JsonResponse
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import path, reverse
from unfold.admin import ModelAdmin
from unfold.decorators import display

from breakers import asked, config, events, overrides
from breakers.models import BreakerConfig, BreakerConfigVersion, BreakerEvent
from healing import audit
from healing.admin import breakers_facts as facts
from healing.admin.breakers_form import SECTIONS, BreakerForm
from healing.admin.breakers_picture import SPANS
from healing.admin.doors import ReadOnlyAdmin, door
from healing.refusals import Refused
from healing.templatetags.mendgate import ago

VIEW, CHANGE, OVERRIDE = "breakers.view_breakerconfig", "breakers.change_breakerconfig", "breakers.override_breaker"
RECENT, FEW, MOST = 15, 12, 60
_DONE = {
    "forced_open": "{} is forced open: every call is refused.", "disabled": "{} is disabled: every call goes through.",
    "closed": "{} is closed; the calls decide again.", "": "{} is back to normal; the calls decide.",
}  # fmt: skip
_AUDITED = {"forced_open": "force open", "disabled": "disable", "closed": "force close", "": "back to normal"}
_PENDING = " Valkey is away: it is in force in this process, and everywhere as soon as Valkey is back."


@admin.register(BreakerConfig)
class BreakerAdmin(ModelAdmin):  # type: ignore[misc]
    """The list is the board."""

    form = BreakerForm
    change_form_template = "admin/breakers/breaker.html"
    fieldsets = tuple((title, {"fields": fields}) for title, fields in SECTIONS)

    def has_add_permission(self, request: HttpRequest) -> bool:
        """They come by being used."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        """Their history stays."""
        return False

    def get_urls(self) -> list[Any]:
        """Our own doors before Django's."""
        view = self.admin_site.admin_view
        doors = [
            path("live/", view(self.live), name="breakers_live"),
            path("<int:pk>/override/", view(self.override), name="breakers_override"),
            path("<int:pk>/follow/", view(self.follow), name="breakers_follow"),
            path("<int:pk>/restore/<int:version>/", view(self.restore), name="breakers_restore"),
        ]
        return [*doors, *super().get_urls()]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The board."""
        if not self.has_view_permission(request):
            return super().changelist_view(request, extra_context)
        context = {**self.admin_site.each_context(request), "title": "Breakers", "content_title": "Breakers", "opts": self.opts}
        return TemplateResponse(request, "admin/breakers/board.html", {**context, **_board(request)})

    def live(self, request: HttpRequest) -> HttpResponse:
        """The moving parts of the board, or of one breaker's page, as HTML by region."""
        if not self.has_view_permission(request):
            return HttpResponse(status=403)
        one = request.GET.get("one", "")
        names = BreakerConfig.objects.filter(pk=int(one)).values_list("name", flat=True) if one.isdecimal() else None
        return JsonResponse(_regions(request, _board(request, None if names is None else list(names))))

    def override(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Force open, close, disable, or give it back, with a reason."""
        to, why = request.POST.get("to", ""), request.POST.get("why", "").strip()
        who = request.user.get_username()

        def act() -> str:
            with transaction.atomic():
                row = overrides.override(pk, to, who=who, why=why)
                audit.record(who, _AUDITED[to], "breaker", row.pk, why=f"{row.name}: {why}")
            return _told(pk, _DONE[to])

        return self._door(request, pk, OVERRIDE, act)

    def follow(self, request: HttpRequest, pk: int) -> HttpResponse:
        """What the code asks for is in force again."""
        who = request.user.get_username()

        def act() -> str:
            with transaction.atomic():
                row = asked.follow_code(pk, who=who)
                audit.record(who, "follow code", "breaker", row.pk, why=row.name)
            return _told(pk, "{} goes by what the code asks for.")

        return self._door(request, pk, CHANGE, act)

    def restore(self, request: HttpRequest, pk: int, version: int) -> HttpResponse:
        """An earlier version's settings, as a new version."""
        who = request.user.get_username()
        old = get_object_or_404(BreakerConfigVersion, config=pk, version=version)

        def act() -> str:
            with transaction.atomic():
                changed = config.change(pk, old.settings, who=who, why=f"As in version {version}.")
                audit.record(who, "restore", "breaker", pk, why=f"{changed.row.name}: {changed.sentence or 'nothing to change'}")
            return _told(pk, "{} is set as in version " + f"{version}.")

        return self._door(request, pk, CHANGE, act)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """By the function that keeps versions; audited in the same transaction."""
        who, given = request.user.get_username(), form.cleaned_data
        try:
            with transaction.atomic():
                changed = config.change(obj.pk, given, who=who, why=given["why"], seen=given["seen"])
                if changed.fields:
                    audit.record(who, "configure", "breaker", obj.pk, why=f"{obj.name}: {changed.sentence}. {given['why']}")
        except (config.Meanwhile, ValidationError) as error:
            messages.error(request, f"Nothing was saved. {error}")
            return

    def log_change(self, request: HttpRequest, obj: Any, message: Any) -> Any:
        """Our own record is kept, with the reason."""

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The form, under how it stands, with its history."""
        row = BreakerConfig.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        if row is None or not self.has_view_permission(request):
            return super().change_view(request, object_id, form_url, extra_context)
        context = {**_board(request, [row.name]), "row": row, "history": facts.history(row), "wishes": _wishes(row), "title": row.name}
        answer = super().change_view(request, object_id, form_url, {**(extra_context or {}), **context})
        if request.method == "POST" and answer.status_code == 302:  # through, and told: before the commit nobody can know
            row.refresh_from_db()
            if row.pending:
                messages.warning(request, _PENDING.strip())
        return answer

    def history_view(self, request: HttpRequest, object_id: str, extra_context: Any = None) -> HttpResponse:
        """Its versions are its history."""
        return HttpResponseRedirect(reverse("admin:breakers_breakerconfig_change", args=[object_id]) + "#versions")

    def _door(self, request: HttpRequest, pk: int, permission: str, act: Callable[[], str]) -> HttpResponse:
        row = get_object_or_404(BreakerConfig, pk=pk)

        def refusing() -> str:
            try:
                return act()
            except (ValueError, overrides.NoChange) as error:
                raise Refused(str(error)) from error
            except ValidationError as error:
                raise Refused("; ".join(error.messages)) from error

        return door(request, permission, refusing, reverse("admin:breakers_breakerconfig_change", args=[row.pk]))


@admin.register(BreakerEvent)
class BreakerEventAdmin(ReadOnlyAdmin):
    """What happened to breakers, to read and search."""

    list_display = ("when", "name", "from_state", "to_state", "sentence", "who")
    fields = readonly_fields = ("when", "name", "from_state", "to_state", "sentence", "who", "why")
    list_filter = ("to_state", "name")
    search_fields = ("name", "sentence", "who")

    @display(description="When", ordering="at")
    def when(self, event: BreakerEvent) -> str:
        """How long ago."""
        return ago(event.at)


def _board(request: HttpRequest, names: list[str] | None = None) -> dict[str, Any]:
    """Everything on the board; of some breakers only, where they are named."""
    answered = events.copy_for_page()
    asked.note_all()
    found = facts.cards(names or ())
    query = request.GET.get("q", "").strip()
    shown = [each for each in found if query.lower() in each.row.name.lower()][:MOST]
    span = request.GET.get("span", "")
    span = span if span in SPANS else "hour"
    about = BreakerEvent.objects.filter(name__in=names) if names is not None else BreakerEvent.objects.all()
    return {
        "cards": shown, "headline": facts.headline(found), "span": span, "spans": list(SPANS), "picture": facts.lanes(shown, span),
        "q": query, "total": len(found), "many": len(found) > FEW,
        "away": not answered or not any(each.view.shared for each in found), "recent": about[: RECENT if names is None else 2 * RECENT],
        "ids": dict(BreakerConfig.objects.values_list("name", "pk")), "one": names is not None,
        "may_override": request.user.has_perm(OVERRIDE), "may_change": request.user.has_perm(CHANGE),
    }  # fmt: skip


def _regions(request: HttpRequest, board: dict[str, Any]) -> dict[str, str]:
    def drawn(template: str, **more: Any) -> str:
        return render_to_string(f"admin/breakers/_{template}.html", {**board, **more}, request)

    each = {f"card-{card.row.pk}": drawn("now", card=card) for card in board["cards"]}
    return {"head": drawn("head"), "lanes": drawn("lanes"), "recent": drawn("recent"), **each}


def _wishes(row: BreakerConfig) -> list[tuple[str, str, str]]:
    """Where the code asks for something else: field, asked, in force."""
    return [(name.replace("_", " "), config.said(a), config.said(b)) for name, (a, b) in asked.differs_from_code(row).items()]


def _told(pk: int, words: str) -> str:
    row = BreakerConfig.objects.get(pk=pk)
    return words.format(row.name) + (_PENDING if row.pending else "")
