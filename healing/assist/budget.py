"""How much may be asked: calls an hour and dollars a day, counted from the rows of what was asked, by when the answer came: what had to
wait for an AI that was away was created long before."""

from __future__ import annotations

from datetime import timedelta

from django.conf import settings
from django.db.models import Count, Sum
from django.utils import timezone

from healing.assist.models import AssistRun


def spent() -> str:
    """Why nothing may be asked now; '' while there is room. ASSIST_CALLS_AN_HOUR and ASSIST_DOLLARS_A_DAY set the bounds."""
    calls, dollars = settings.ASSIST_CALLS_AN_HOUR, settings.ASSIST_DOLLARS_A_DAY
    now, asked = timezone.now(), AssistRun.objects.filter(asked=True)
    made = asked.filter(finished_at__gte=now - timedelta(hours=1)).aggregate(n=Count("pk"))["n"]
    if made >= calls:
        return f"{made} calls were made within the hour; {calls} are allowed"
    cost = asked.filter(finished_at__gte=now - timedelta(days=1)).aggregate(cost=Sum("cost"))["cost"] or 0.0
    return f"${cost:.2f} were spent within a day; ${dollars:.2f} are allowed" if cost >= dollars else ""
