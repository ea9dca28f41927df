"""People are told when a breaker opens, and when it is over; in the transaction that stores the event, so one exists if the other does.

A breaker that opened for one process alone is not told of: the shared one is what callers feel. Nor is what a person did; he knows.
"""

from __future__ import annotations

from datetime import timedelta

from django.urls import reverse
from django.utils import timezone

from breakers import events
from breakers.core.types import State
from breakers.models import BreakerConfig, BreakerEvent
from breakers.protected import describe
from schema_monitor.alerts.notices import News, begin, end

KIND = "breaker.open"
FRESH = timedelta(minutes=10)
"""Older openings are history: a log that is read for the first time rings nobody."""
SEVERITIES = {"target-database": "critical", "ai-gateway": "high", "healing-ai": "medium"}
_STEPS = {
    "target-database": "See whether the database answers: python manage.py doctor says what is wrong.",
    "ai:": "Look at the calls to this provider, and at its own page of status. A fallback answers where the model has one.",
    "webhooks:": "Look whether the receiver is up. What it missed waits in the outbox.",
    "alerts:": "Look whether the channel is up. What it missed waits in the outbox.",
}


def connect() -> None:
    """Listens to what is copied from the breakers' log."""
    events.when_copied(_heard)


def _heard(event: BreakerEvent) -> None:
    state = event.to_state
    if event.why.get("scope") == "local" or state == State.HALF_OPEN:
        return
    if state == State.OPEN and timezone.now() - event.at < FRESH:
        begin(news(event))
    elif state != State.OPEN:
        end(KIND, event.name, _outcome(event))


def news(event: BreakerEvent) -> News:
    """What people are told of an opening."""
    what = describe(event.name)
    sentence = f"Breaker {event.name} opened. {event.sentence}" + (f" {what}" if what else "")
    severity = SEVERITIES.get(event.name, "high" if what else "medium")
    facts = {name: event.why[name] for name in ("calls", "failures", "rate", "rule", "seconds") if name in event.why}
    return News(KIND, event.name, severity, sentence, _step(event.name), _page(event.name), facts)


def _outcome(event: BreakerEvent) -> str:
    if event.to_state == State.CLOSED:
        return f"Breaker {event.name} closed: it answers again." if not event.who else f"{event.who} closed it."
    return f"{event.who or 'A person'} holds it: {event.to_state.replace('_', ' ')}."


def _step(name: str) -> str:
    found = next((step for start, step in _STEPS.items() if name == start or (start.endswith(":") and name.startswith(start))), "")
    return found or "Its page shows the window, a sample error, and who saw it."


def _page(name: str) -> str:
    pk = BreakerConfig.objects.filter(name=name).values_list("pk", flat=True).first()
    return reverse("admin:breakers_breakerconfig_change", args=[pk]) if pk else reverse("admin:breakers_breakerconfig_changelist")
