"""The use of AI: what callers may spend and have spent, each call with its attempts, and the sums."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

from django import forms
from django.contrib import admin
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.html import format_html
from unfold.decorators import display
from unfold.widgets import UnfoldAdminSelectWidget

from breakers.gateway.ai.budgets import begin_of, end_of, today
from breakers.models import AiAllowance, AiCall, AiNotice, AiProvider, AiSpend
from breakers.models.ai_use import HEALING
from healing.admin import ai_picture
from healing.admin.ai_audited import AuditedAdmin
from healing.admin.ai_callers import names
from healing.admin.doors import ReadOnlyAdmin, row_or_404
from healing.gateway.settings import current
from healing.models import ApiKey
from healing.templatetags.mendgate import ago, badge

SPANS = (7, 30, 90)
_STATES = {"ok": "active", "fallback": "waiting", "canned": "waiting", "cached": "info", "refused": "failed", "failed": "failed"}


class AllowanceForm(forms.ModelForm):  # type: ignore[type-arg]
    """Keys are chosen by name."""

    key = forms.ChoiceField(label="Caller", required=False, widget=UnfoldAdminSelectWidget)

    class Meta:
        model = AiAllowance
        fields = ("key", "requests_per_minute", "tokens_per_minute", "concurrency", "period", "soft_usd", "hard_usd")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if "key" in self.fields:
            keys = [(str(row.pk), f"{row.name} ({row.prefix}…)") for row in ApiKey.objects.filter(revoked_at=None)]
            own = {*dict(keys), "", HEALING}
            gone = [(self.instance.key, names([self.instance.key])[self.instance.key])] if self.instance.key not in own else []
            self.fields["key"].choices = [("", "each caller without a row of its own"), (HEALING, "healing itself"), *keys, *gone]  # type: ignore[attr-defined]


@admin.register(AiAllowance)
class AiAllowanceAdmin(AuditedAdmin):
    """Limits beside what was spent."""

    kind = "ai allowance"
    form = AllowanceForm
    list_display = ("caller", "a_minute", "spent")
    fieldsets = (
        (None, {"fields": ("key",)}),
        ("A minute, and at a time (0 = no limit)", {"fields": ("requests_per_minute", "tokens_per_minute", "concurrency")}),
        ("Budget in US dollars (empty = none)", {"fields": ("period", "soft_usd", "hard_usd")}),
    )
    change_list_template = "admin/ai/allowances.html"

    @display(description="Caller", ordering="key")
    def caller(self, row: AiAllowance) -> str:
        """By name."""
        return names([row.key])[row.key] if row.key else "each caller without a row of its own"

    @display(description="A minute · at a time")
    def a_minute(self, row: AiAllowance) -> str:
        """The limits that there are."""
        said = [f"{row.requests_per_minute:,} requests"] if row.requests_per_minute else []
        said += [f"{row.tokens_per_minute:,} tokens"] if row.tokens_per_minute else []
        said += [f"{row.concurrency} at a time"] if row.concurrency else []
        return " · ".join(said) or "no limit"

    @display(description="Spent this period")
    def spent(self, row: AiAllowance) -> str:
        """As a bar, with the warning as a mark."""
        if not row.key:
            return "of each caller"
        return bar(row, spent_of(row))

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list, and who was warned or refused lately."""
        notices = (
            list(AiNotice.objects.filter(at__date__gte=today() - timedelta(days=31))[:20]) if self.has_view_permission(request) else []
        )
        known = names(notice.key for notice in notices)
        more = {"notices": [(notice, known[notice.key]) for notice in notices], "none": not AiAllowance.objects.exists()}
        return super().changelist_view(request, {**(extra_context or {}), **more})


def spent_of(row: AiAllowance) -> float:
    """US dollars in the period of now."""
    begin = begin_of(row.period, today())
    return float(AiSpend.objects.filter(key=row.key, day__gte=begin).aggregate(sum=Sum("cost"))["sum"] or 0)


def bar(row: AiAllowance, spent: float) -> str:
    """How much of the budget is gone."""
    ends = end_of(row.period, today())
    limit = float(row.hard_usd or row.soft_usd or 0)
    if not limit:
        return format_html("${} <span class='mg-quiet'>no budget</span>", f"{spent:.4f}")
    part = min(spent / limit, 1) * 100
    soft = min(float(row.soft_usd) / limit, 1) * 100 if row.soft_usd is not None else None
    full = row.hard_usd is not None and spent >= row.hard_usd
    colour = "back" if full else "bad" if row.soft_usd is not None and spent >= row.soft_usd else "good"
    mark = format_html('<rect class="mg-mark" x="{}" y="0" width="0.8" height="6"/>', round(soft, 2)) if soft is not None else ""
    return format_html(
        '<span class="mg-budget"><svg class="mg-evidence" viewBox="0 0 100 6" preserveAspectRatio="none" role="img" aria-label="{} %">'
        '<rect class="mg-{}" x="0" y="0" width="{}" height="6"/>{}</svg><span>${} of ${}{} · until {}</span></span>',
        round(part), colour, round(part, 2), mark, f"{spent:.4f}", f"{limit:.2f}", " (refused)" if full else "", ends,
    )  # fmt: skip


class CallerFilter(admin.SimpleListFilter):
    """By API key."""

    title = "caller"
    parameter_name = "key"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        """Those who called lately."""
        recent = AiSpend.objects.filter(day__gte=today() - timedelta(days=31)).values_list("key", flat=True).distinct()
        return [(key or "-", name) for key, name in sorted(names(recent).items(), key=lambda each: each[1])]

    def queryset(self, request: HttpRequest, queryset: Any) -> Any:
        """``-`` stands for nobody."""
        return queryset if self.value() is None else queryset.filter(key="" if self.value() == "-" else self.value())


@admin.register(AiCall)
class AiCallAdmin(ReadOnlyAdmin):
    """What happened, the newest first."""

    list_display = ("when", "shown_outcome", "asked", "served", "tokens", "shown_cost", "took")
    list_filter = ("outcome", CallerFilter, "model_asked", "provider", "purpose", "stream")
    search_fields = ("id", "error")
    show_full_result_count = False
    change_form_template = "admin/ai/call.html"
    change_list_template = "admin/ai/calls.html"

    @display(description="When", ordering="at")
    def when(self, row: AiCall) -> str:
        """How long ago."""
        return ago(row.at)

    @display(description="Outcome", ordering="outcome")
    def shown_outcome(self, row: AiCall) -> str:
        """Colour and word."""
        return outcome(row)

    @display(description="Asked", ordering="model_asked")
    def asked(self, row: AiCall) -> str:
        """The model as the caller named it."""
        return row.model_asked or "–"

    @display(description="Answered by")
    def served(self, row: AiCall) -> str:
        """Who did."""
        return f"{row.provider} / {row.model_served}" if row.provider else row.model_served or "–"

    @display(description="Tokens in · out")
    def tokens(self, row: AiCall) -> str:
        """As counted."""
        return f"{row.input_tokens:,} · {row.output_tokens:,}"

    @display(description="Cost", ordering="cost")
    def shown_cost(self, row: AiCall) -> str:
        """In US dollars."""
        return f"${row.cost:.6f}" + (f" (saved ${row.saved_cost:.6f})" if row.saved_cost else "")

    @display(description="Took", ordering="seconds")
    def took(self, row: AiCall) -> str:
        """In all."""
        return f"{row.seconds:.2f} s"

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """The list; a first step where nobody called yet."""
        more = {"none": not AiCall.objects.exists(), "may_ask": AiProvider.objects.exists() or bool(current().ai.base_url)}
        return super().changelist_view(request, {**(extra_context or {}), **more})

    def change_view(self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: Any = None) -> HttpResponse:
        """One call with its attempts over time."""
        self.require_view(request)
        call = row_or_404(AiCall, object_id)
        attempts = list(zip(call.attempts, ai_picture.bars(call.attempts, call.seconds), strict=True))
        context = {
            **self.admin_site.each_context(request), "title": "AI call", "opts": self.opts, "call": call, "attempts": attempts,
            "caller": names([call.key])[call.key], "outcome": outcome(call),
        }  # fmt: skip
        return TemplateResponse(request, self.change_form_template, context)


def outcome(row: AiCall) -> str:
    """Colour and word; many at once say how many."""
    words = row.outcome if row.calls == 1 else f"{row.outcome} × {row.calls}"
    return badge(words, _STATES.get(row.outcome, "plain"))


@admin.register(AiSpend)
class AiSpendAdmin(ReadOnlyAdmin):
    """The list is a page: what it cost, what it saved, of whom."""

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Sums of the last days."""
        self.require_view(request)
        asked = request.GET.get("days", "")
        days = int(asked) if asked in map(str, SPANS) else 30
        context = {**self.admin_site.each_context(request), "title": "AI spend", "content_title": "AI spend", "opts": self.opts}
        return TemplateResponse(request, "admin/ai/spend.html", {**context, **spend(days), "days": days, "spans": SPANS})


_SUMS = {
    "requests": Sum("requests"), "failed": Sum("failed"), "rescued": Sum("rescued"), "cached": Sum("cached"), "cost": Sum("cost"),
    "saved": Sum("saved"), "tokens_in": Sum("input_tokens"), "tokens_out": Sum("output_tokens"), "seconds": Sum("seconds"),
}  # fmt: skip


def spend(days: int) -> dict[str, Any]:
    """Of the last ``days`` days (UTC): in all, by model, by caller, by day."""
    first: date = today() - timedelta(days=days - 1)
    rows = AiSpend.objects.filter(day__gte=first).order_by()
    callers = list(rows.values("key").annotate(**_SUMS).order_by("-cost", "-requests")[:50])
    known = names(each["key"] for each in callers)
    per_day = [
        (each["day"], float(each["cost"]), float(each["saved"]))
        for each in rows.values("day").annotate(cost=Sum("cost"), saved=Sum("saved"))
    ]
    return {
        "total": rows.aggregate(**_SUMS),
        "models": list(rows.values("model", "provider").annotate(**_SUMS).order_by("-cost", "-requests")[:50]),
        "callers": [(known[each["key"]], each) for each in callers],
        "picture": ai_picture.by_day(per_day, first, days),
        "first": first,
    }
