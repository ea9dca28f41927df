"""What of the AI gateway needs a person, for the dashboard: keys that providers refuse, budgets that are used up."""

from __future__ import annotations

from datetime import timedelta

from django.db.models import Count, Q
from django.utils import timezone

from breakers.gateway.ai.budgets import begin_of, today
from breakers.models import AiAllowance, AiCredential, AiNotice, AiProvider
from healing.admin.ai_callers import names

RECENT = timedelta(days=7)


def keyless() -> str:
    """Providers that have keys, but none that works; "" for none."""
    counted = AiProvider.objects.annotate(all_keys=Count("credentials"), active=Count("credentials", filter=Q(credentials__state="active")))
    found = list(counted.filter(enabled=True, all_keys__gt=0, active=0).values_list("name", flat=True)[:4])
    return f"No key is in use any more for AI provider {', '.join(found)}: its models are not asked" if found else ""


def refused() -> str:
    """Keys that were retired in the last days while others go on; "" for none."""
    lately = AiCredential.objects.filter(state="retired", changed_at__gte=timezone.now() - RECENT, provider__enabled=True)
    found = list(lately.filter(provider__credentials__state="active").distinct().select_related("provider")[:3])
    return "; ".join(f"AI key {row.label} of {row.provider} was retired: {row.why.rstrip('.')}" for row in found)


def used_up() -> str:
    """Callers that are refused until their period ends; "" for none."""
    current = [Q(period=each, period_start=begin_of(each, today())) for each in AiAllowance.Period.values]
    found = list(AiNotice.objects.filter(current[0] | current[1] | current[2], kind="hard").values_list("key", flat=True)[:4])
    return f"The AI budget is used up for {', '.join(sorted(names(found).values()))}: calls are refused" if found else ""
