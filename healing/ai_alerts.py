"""What people are told of the AI gateway: budgets that callers passed, keys that providers refuse. By level: said anew each sweep."""

from __future__ import annotations

from datetime import date
from uuid import UUID

from django.urls import reverse

from breakers.gateway.ai.budgets import begin_of, end_of, today
from breakers.models import AiAllowance, AiCredential, AiNotice
from breakers.models.ai_use import HEALING
from healing.models import ApiKey
from schema_monitor.alerts.notices import News, keep

BUDGET, KEY = "budget.", "ai_key."


def look() -> None:
    """Tells what is so now; what is no more is over."""
    keep(BUDGET, [news for notice in AiNotice.objects.filter(period_start__gte=_earliest()) if (news := of_budget(notice, today()))])
    keep(KEY, [of_key(key) for key in AiCredential.objects.filter(state=AiCredential.State.RETIRED).select_related("provider")])


def of_budget(notice: AiNotice, day: date) -> News | None:
    """A budget that was passed in the period that goes on; None where that is over, or the budget was raised since."""
    if notice.period_start != begin_of(notice.period, day):
        return None
    row = AiAllowance.objects.filter(key=notice.key).first() or AiAllowance.objects.filter(key="").first()
    limit = None if row is None or row.period != notice.period else row.hard_usd if notice.kind == "hard" else row.soft_usd
    if limit is None or limit > notice.budget:
        return None
    who, hard = name_of(notice.key), notice.kind == "hard"
    until = f"until {end_of(notice.period, day)} (UTC)"
    said = f"is refused AI calls {until}" if hard else "goes on; further calls are let through"
    sentence = f"{who} has used ${notice.spent:.2f} of its budget of ${notice.budget:.2f} a {notice.period} and {said}."
    step = "Raise the budget, or ask who uses so much." if hard else "Look who uses so much before calls are refused."
    facts = {"key": notice.key, "spent": float(notice.spent), "budget": float(notice.budget), "period": notice.period}
    about = f"{notice.key or 'no key'}/{notice.period_start.isoformat()}"
    return News(
        f"{BUDGET}{notice.kind}", about, "high" if hard else "medium", sentence, step, reverse("admin:breakers_aispend_changelist"), facts
    )


def of_key(key: AiCredential) -> News:
    """A key that its provider does not take any more."""
    left = AiCredential.objects.filter(provider=key.provider, state=AiCredential.State.ACTIVE).count()
    alone = "No key is left: its models are answered by fallbacks only." if not left else f"{left} others are left."
    sentence = f"The key {key.label} of AI provider {key.provider.name} is out of use: {key.why or 'retired'}. {alone}"
    severity = "medium" if left or not key.provider.enabled else "critical"
    page = reverse("admin:breakers_aicredential_changelist")
    return News(f"{KEY}retired", f"{key.provider.name}/{key.label}", severity, sentence, "Enter a new key, or revive this one.", page)


def name_of(key: str) -> str:
    """Who a caller is, to people."""
    if key == HEALING:
        return "Healing"
    if not key:
        return "Callers without an API key"
    try:
        name = ApiKey.objects.filter(pk=UUID(key)).values_list("name", flat=True).first()
    except ValueError:
        name = None
    return f"API key {name}" if name else f"API key {key}"


def _earliest() -> date:
    return min(begin_of(period, today()) for period in ("week", "month"))
