"""Alert subscriptions: who is told what, and whether it arrives."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.contrib import admin, messages
from django.db import transaction
from django.db.models import Count, OuterRef, Q, QuerySet, Subquery
from django.db.models.functions import Now
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.cache import add_never_cache_headers
from django.utils.html import format_html
from unfold.admin import ModelAdmin
from unfold.decorators import display

from healing import audit
from healing.admin.doors import door
from healing.admin.subscription_form import SubscriptionForm
from healing.refusals import WrongState
from healing.templatetags.mendgate import ago, state
from schema_monitor.alerts.models import AlertDelivery, Channel, SchemaSubscription
from schema_monitor.alerts.sealed import CannotOpen
from schema_monitor.alerts.signing import retire_old, rotate, secrets_of
from schema_monitor.alerts.subscribing import enable
from schema_monitor.alerts.trial import send_test

MANAGE = "schema_monitor.change_schemasubscription"
RECENT = 20


@admin.register(SchemaSubscription)
class SubscriptionAdmin(ModelAdmin):  # type: ignore[misc]
    """The list says whether each works; the page has the doors."""

    form = SubscriptionForm
    list_display = ("name", "channel", "shown_address", "wants", "shown_state", "last_delivery", "waiting")
    list_filter = ("channel", "enabled", "minimum")
    search_fields = ("name", "shown_address")
    fieldsets = (
        (None, {"fields": ("name", "channel", "destination", "minimum", "enabled")}),
        (
            "Only some changes",
            {"fields": ("schemas", "tables", "kinds"), "description": "Empty means all. One a line; * stands for anything."},
        ),
    )
    actions = ("switch_on", "switch_off", "test_chosen")
    change_form_template = "admin/healing/subscription.html"

    @display(description="Told of")
    def wants(self, subscription: SchemaSubscription) -> str:
        """The filters in a line."""
        lists = (subscription.schemas, subscription.tables, subscription.kinds)
        only = [", ".join(patterns) for patterns in lists if patterns]
        return " · ".join([subscription.get_minimum_display(), *only])

    @display(description="State", ordering="enabled")
    def shown_state(self, subscription: SchemaSubscription) -> str:
        """Colour and word."""
        return state(state_of(subscription))

    @display(description="Last delivery")
    def last_delivery(self, subscription: SchemaSubscription) -> str:
        """How it went and when."""
        if subscription.last_at is None:  # type: ignore[attr-defined]
            return "–"
        return format_html("{} {}", state(subscription.last_outcome), ago(subscription.last_at))  # type: ignore[attr-defined]

    @display(description="Waiting · given up")
    def waiting(self, subscription: SchemaSubscription) -> str:
        """Counts, with a link to the messages."""
        link = reverse("admin:schema_monitor_alertmessage_changelist") + f"?subscription__id__exact={subscription.pk}"
        return format_html('<a href="{}">{} · {}</a>', link, subscription.waits, subscription.lost)  # type: ignore[attr-defined]

    def get_queryset(self, request: HttpRequest) -> QuerySet[SchemaSubscription]:
        """With the last delivery and what is left to do."""
        last = AlertDelivery.objects.filter(message__subscription=OuterRef("pk")).order_by("-pk")
        found: QuerySet[SchemaSubscription] = super().get_queryset(request)
        return found.annotate(
            last_at=Subquery(last.values("at")[:1]),
            last_outcome=Subquery(last.values("outcome")[:1]),
            waits=Count("messages", filter=Q(messages__state__in=["waiting", "sending"])),
            lost=Count("messages", filter=Q(messages__state="failed") & ~Q(messages__version=None, messages__notice=None)),
        )

    @admin.action(description="Switch on", permissions=["change"])
    def switch_on(self, request: HttpRequest, rows: QuerySet[SchemaSubscription]) -> None:
        """From now on."""
        self._each(request, rows, "enable", lambda row: enable(row, on=True))

    @admin.action(description="Switch off", permissions=["change"])
    def switch_off(self, request: HttpRequest, rows: QuerySet[SchemaSubscription]) -> None:
        """What waits is given up after three days."""
        self._each(request, rows, "disable", lambda row: enable(row, on=False))

    @admin.action(description="Send a test", permissions=["change"])
    def test_chosen(self, request: HttpRequest, rows: QuerySet[SchemaSubscription]) -> None:
        """To each, one after another."""
        for row in rows:
            delivery = send_test(row)
            tell = messages.success if delivery.outcome == "delivered" else messages.error
            tell(request, f"{row.name}: {_said(delivery)}")

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        """Saved and audited in one transaction. An edited subscription is told what changes from now on."""
        with transaction.atomic():
            obj.since = Now()
            if "enabled" in form.changed_data:
                obj.why_disabled = "" if obj.enabled else "Switched off by a person."
            obj.save()
            self._audit(request, "change" if change else "create", obj)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        """Audited, with everything that waited."""
        with transaction.atomic():
            self._audit(request, "remove", obj)
            obj.delete()

    def delete_queryset(self, request: HttpRequest, queryset: QuerySet[SchemaSubscription]) -> None:
        """As above, for several."""
        for row in queryset:
            self.delete_model(request, row)

    def get_urls(self) -> list[Any]:
        """Our own doors before Django's."""
        view = self.admin_site.admin_view
        doors = {"test": self.test, "rotate": self.rotate, "retire": self.retire, "reveal": self.reveal}
        return [path(f"<int:pk>/{name}/", view(act), name=f"alerts_{name}") for name, act in doors.items()] + super().get_urls()

    def test(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Sends a test now and says how it went."""

        def act(row: SchemaSubscription) -> str:
            delivery = send_test(row)
            if delivery.outcome != "delivered":
                raise WrongState(_said(delivery))
            return _said(delivery)

        return self._door(request, pk, act)

    def rotate(self, request: HttpRequest, pk: int) -> HttpResponse:
        """A second signing secret; both sign until the old one is retired."""

        def act(row: SchemaSubscription) -> str:
            _rekey(row, rotate)
            self._audit(request, "rotate", row)
            return "There is a new secret; both sign until you retire the old one. Show it, and give it to the receiver."

        return self._door(request, pk, act)

    def retire(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Ends the old secret."""

        def act(row: SchemaSubscription) -> str:
            _rekey(row, retire_old)
            self._audit(request, "retire", row)
            return "Only the newest secret signs from now on."

        return self._door(request, pk, act)

    def reveal(self, request: HttpRequest, pk: int) -> HttpResponse:
        """Shows the signing secrets, by POST only, and that it did is on record."""
        row, shown = get_object_or_404(SchemaSubscription, pk=pk), []

        def act(row: SchemaSubscription) -> str:
            shown.extend(_rekey(row, secrets_of))
            self._audit(request, "reveal", row)
            return "The receiver needs the newest one."

        answer = self._door(request, pk, act)
        if not shown:
            return answer
        list(messages.get_messages(request))
        context = {**self.admin_site.each_context(request), "title": "Signing secret", "opts": self.opts, "row": row, "secrets": shown}
        page = TemplateResponse(request, "admin/healing/subscription_secret.html", context)
        add_never_cache_headers(page)
        return page

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """The form, with its state, the doors and the last deliveries."""
        row = SchemaSubscription.objects.filter(pk=object_id).first() if object_id.isdecimal() else None
        facts = {"row": row, "may_manage": request.user.has_perm(MANAGE), **(_facts(row) if row else {})}
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), **facts})

    def _door(self, request: HttpRequest, pk: int, act: Callable[[SchemaSubscription], str]) -> HttpResponse:
        row = get_object_or_404(SchemaSubscription, pk=pk)
        return door(request, MANAGE, lambda: act(row), reverse("admin:schema_monitor_schemasubscription_change", args=[pk]))

    def _each(self, request: HttpRequest, rows: QuerySet[SchemaSubscription], word: str, act: Callable[[SchemaSubscription], None]) -> None:
        for row in rows:
            with transaction.atomic():
                act(row)
                self._audit(request, word, row)

    def _audit(self, request: HttpRequest, action: str, row: SchemaSubscription) -> None:
        why = f"{row.name}: {row.get_channel_display()} {row.shown_address}, {row.minimum}"
        audit.record(request.user.get_username(), action, "subscription", row.pk, why=why)


def state_of(row: SchemaSubscription) -> str:
    """One word: active, off, failing (it will be tried again), paused (left alone for a while)."""
    if not row.enabled:
        return "off"
    if row.paused_until is not None and row.paused_until > timezone.now():
        return "paused"
    return "failing" if row.failures else "active"


def _facts(row: SchemaSubscription) -> dict[str, Any]:
    recent = AlertDelivery.objects.filter(message__subscription=row).select_related("message").order_by("-pk")[:RECENT]
    try:
        count = len(secrets_of(row))
    except CannotOpen:
        count = 0
    return {"state_word": state_of(row), "deliveries": recent, "signs": row.channel == Channel.WEBHOOK, "secret_count": count}


def _rekey(row: SchemaSubscription, act: Callable[[SchemaSubscription], Any]) -> Any:
    try:
        return act(row)
    except CannotOpen as error:
        raise WrongState(str(error)) from error


def _said(delivery: AlertDelivery) -> str:
    if delivery.outcome == "delivered":
        return f"The test arrived (status {delivery.status}, {delivery.milliseconds} ms)."
    return f"The test did not arrive: {delivery.error}"
