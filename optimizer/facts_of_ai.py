"""What the AI gateway's log tells: calls by provider for the breakers, questions that came back, retries, and how prompts did."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from breakers.core.types import Outcome
from breakers.models import AiCall
from healing.assist.models import Prompt
from healing.assist.prompts import NAME
from healing.checked_fix import parsed
from healing.core import fixes
from healing.models import Proposal as Fix
from healing.refusals import Refused
from optimizer.core.breakers import Call
from optimizer.core.prompts import Decided
from optimizer.core.tune import Asked, Retried

DAYS = timedelta(days=14)
MOST = 200_000
_OUTCOMES = {"ok": Outcome.OK, "failed": Outcome.FAILURE}


def calls_by_breaker(since: datetime, until: datetime | None = None) -> dict[str, list[Call]]:
    """Breaker -> its recorded calls, oldest first. Those that it refused were no calls."""
    found: dict[str, list[Call]] = defaultdict(list)
    rows = AiCall.objects.filter(at__gte=since, calls=1)
    rows = rows if until is None else rows.filter(at__lt=until)
    for at, attempts in rows.order_by("at").values_list("at", "attempts")[:MOST].iterator():
        begun = at.timestamp()
        for each in attempts:
            outcome, seconds = _OUTCOMES.get(each.get("outcome", "")), float(each.get("seconds") or 0.0)
            if outcome is not None:
                found[f"ai:{each.get('provider')}"].append(Call(begun, outcome, seconds))
            begun += seconds
    return {name: sorted(calls, key=lambda c: c.at) for name, calls in found.items()}


def questions(now: datetime) -> list[Asked]:
    """Questions whose text was logged (redacted), each told by a digest: what a cache would see."""
    rows = AiCall.objects.filter(at__gte=now - DAYS, stream=False, outcome__in=["ok", "cached"]).exclude(request_body="").order_by("at")
    return [Asked(_digest(row), row["at"].timestamp()) for row in rows.values("at", "key", "model_asked", "request_body")[:MOST].iterator()]


def _digest(row: Any) -> str:
    return hashlib.sha256(f"{row['key']}\x00{row['model_asked']}\x00{row['request_body']}".encode()).hexdigest()[:24]


def retried(now: datetime) -> Retried:
    """Second tries at the same provider: made, answered, and requests that failed after one try."""
    requests = made = answered = unmade = 0
    for outcome, attempts in AiCall.objects.filter(at__gte=now - DAYS, calls=1).values_list("outcome", "attempts")[:MOST].iterator():
        tried = [each for each in attempts if each.get("outcome") in _OUTCOMES]
        requests += bool(tried)
        again = [b for a, b in pairwise(tried) if a.get("provider") == b.get("provider")]
        made, answered = made + len(again), answered + sum(each["outcome"] == "ok" for each in again)
        unmade += outcome == "failed" and len(tried) == 1
    return Retried(requests, made, answered, unmade)


def decided() -> list[Decided]:
    """What people said of AI fixes and others, newest first."""
    rows = Fix.objects.filter(state__in=["approved", "rejected"], decided_by__isnull=False).order_by("-decided_at")[:200]
    return [Decided(row.signature, brief, row.state == "approved") for row in rows if (brief := _brief(row))]


def _brief(row: Fix) -> str:
    try:
        return ", ".join(fixes.brief(op) for op in parsed(row.fix))
    except Refused:
        return ""


def active_prompt() -> Prompt | None:
    """The version in use."""
    return Prompt.objects.filter(name=NAME, active=True).first()
