"""What is protected without anybody asking: names, and what to say of them."""

from __future__ import annotations

DESCRIPTIONS = {
    "target-database": "Every read and write of the data API. Open: callers get 503 with Retry-After at once.",
    "ai-gateway": "The AI gateway as a whole. Open: canned answers only.",
    "healing-ai": "Healing's own use of AI. Open: healing goes on with rules and the matcher alone.",
    "alerts:email": "Alerts by e-mail. Open: they wait in the outbox; none is lost.",
    "alerts:slack": "Alerts to Slack. Open: they wait in the outbox; none is lost.",
    "alerts:discord": "Alerts to Discord. Open: they wait in the outbox; none is lost.",
}
FAMILIES = {
    "ai:": "The AI provider {}. Open: the next model of the fallback chain answers.",
    "webhooks:": "Webhooks to {}. Open: they wait in the outbox; none is lost.",
    "upstream:": "The upstream Supabase's {}. Open: callers get 503 with Retry-After at once; the data API goes on.",
    "alerts:": "Alerts by {}. Open: they wait in the outbox; none is lost.",
}


def describe(name: str) -> str:
    """What a breaker protects; '' for one that the application made."""
    if name in DESCRIPTIONS:
        return DESCRIPTIONS[name]
    return next((words.format(name.removeprefix(start)) for start, words in FAMILIES.items() if name.startswith(start)), "")
