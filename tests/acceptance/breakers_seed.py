"""What the board's tests find in the control database; run inside ``manage.py shell`` of the site under test."""

from __future__ import annotations

from datetime import timedelta

from django.utils import timezone

from breakers import asked, config
from breakers.core.types import Settings
from breakers.models import BreakerConfig, BreakerEvent

STORY = (
    (
        52,
        "lovable-ai",
        "closed",
        "open",
        "7 of 9 calls failed. It stays open for 60 s. For instance: TimeoutError: no answer",
    ),
    (51, "lovable-ai", "open", "half_open", "Its time is over; trial calls go through."),
    (50, "lovable-ai", "half_open", "open", "2 of 2 trial calls failed. It stays open for 118 s."),
    (48, "lovable-ai", "open", "half_open", "Its time is over; trial calls go through."),
    (47, "lovable-ai", "half_open", "closed", "3 trial calls ended well enough."),
    (30, "webhooks:hooks.example.com", "closed", "open", "5 of 5 calls failed. It stays open for 60 s."),
    (8, "webhooks:hooks.example.com", "open", "closed", "3 trial calls ended well enough."),
)


def seed() -> None:
    """Breakers with an hour's history, and one that a person has edited."""
    asked.note_all()
    asked.note_asked("lovable-ai", Settings(), "The model behind the support assistant.")
    asked.note_asked("webhooks:hooks.example.com", Settings(), "Webhooks to hooks.example.com.")
    BreakerConfig.objects.update(created_at=timezone.now() - timedelta(hours=20))
    now = timezone.now()
    for minutes, name, before, after, sentence in STORY:
        at = now - timedelta(minutes=minutes)
        BreakerEvent.objects.create(
            stream_id=f"{round(at.timestamp() * 1000)}-0", at=at, name=name, from_state=before, to_state=after, sentence=sentence
        )
    lovable = BreakerConfig.objects.get(name="lovable-ai")
    config.change(lovable.pk, {"timeout": 240.0, "permits": 2}, who="rita", why="The provider recovers fast.")
