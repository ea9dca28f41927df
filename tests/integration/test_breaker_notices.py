"""People are told when a breaker opens, a budget is passed, a provider's key is refused: once, and when it is over."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from breakers import events
from breakers.gateway.ai.budgets import begin_of, today
from breakers.models import AiAllowance, AiCredential, AiNotice, AiProvider
from healing import ai_alerts
from healing.models import ApiKey
from schema_monitor.alerts.models import AlertMessage
from schema_monitor.alerts.notice_model import Notice
from tests.integration.alert_rows import subscribed

pytestmark = pytest.mark.django_db
WHY = '{"sentence": "5 of 5 calls failed.", "rule": "rate", "calls": 5, "seconds": 60}'


def entry(after: str, name: str = "ai:openai", at: datetime | None = None, number: int = 0, **more: Any) -> tuple[str, dict[str, str]]:
    moment = at or timezone.now()
    return f"{int(moment.timestamp() * 1000)}-{number}", {"name": name, "before": "closed", "after": after, "why": WHY, **more}


def told() -> list[tuple[str, str]]:
    return [(each.notice.kind, each.notice.about) for each in AlertMessage.objects.filter(over=False).select_related("notice")]


def test_an_opening_is_told_once_and_its_end_too():
    subscribed("https://example.com/hook", kinds=["breaker.*"])
    events._keep([entry("open", number=1), entry("half_open", number=2), entry("open", number=3)])
    assert told() == [("breaker.open", "ai:openai")]
    notice = Notice.objects.get()
    assert "5 of 5 calls failed." in notice.sentence and notice.severity == "high" and notice.path.startswith("/") and notice.ended is None
    events._keep([entry("closed", number=4)])
    notice.refresh_from_db()
    assert notice.ended is not None and notice.outcome == "Breaker ai:openai closed: it answers again."
    assert AlertMessage.objects.filter(over=True).count() == 1


def test_the_target_database_is_critical():
    events._keep([entry("open", "target-database")])
    assert Notice.objects.get().severity == "critical"


@pytest.mark.parametrize(("more", "age"), [({"scope": "local"}, timedelta(0)), ({}, timedelta(hours=1))])
def test_what_one_process_saw_alone_and_what_is_long_ago_rings_nobody(more: dict[str, str], age: timedelta):
    events._keep([entry("open", at=timezone.now() - age, **more)])
    assert not Notice.objects.exists()


def test_a_budget_is_told_until_it_is_raised():
    key = ApiKey.objects.create(name="shop", role="service_role", prefix="mg_test", hash="0" * 64)
    AiAllowance.objects.create(key=str(key.pk), hard_usd=5, period="month")
    AiNotice.objects.create(key=str(key.pk), kind="hard", period="month", period_start=begin_of("month", today()), spent=5.2, budget=5)
    AiNotice.objects.create(key="", kind="hard", period="day", period_start=today() - timedelta(days=3), spent=5.2, budget=5)
    for _ in range(2):
        ai_alerts.look()
    notice = Notice.objects.get()
    assert (notice.kind, notice.severity, notice.ended) == ("budget.hard", "high", None)
    assert notice.sentence.startswith("API key shop has used $5.20 of its budget of $5.00 a month and is refused AI calls until")
    AiAllowance.objects.update(hard_usd=50)
    ai_alerts.look()
    notice.refresh_from_db()
    assert notice.ended is not None


def test_a_key_that_is_refused_is_told_until_somebody_revives_it():
    provider = AiProvider.objects.create(name="openai", base_url="https://api.example.com/v1")
    key = AiCredential.objects.create(provider=provider, label="main", secret=b"x", state="retired", why="openai answered status 401")
    ai_alerts.look()
    notice = Notice.objects.get()
    assert (notice.kind, notice.about, notice.severity) == ("ai_key.retired", "openai/main", "critical")
    assert "openai answered status 401" in notice.sentence and "No key is left" in notice.sentence
    AiCredential.objects.filter(pk=key.pk).update(state="active")
    ai_alerts.look()
    notice.refresh_from_db()
    assert notice.ended is not None
