"""Where a game day may run: nowhere that is in production. It has servers of its own, but it takes this machine's processors and disk."""

from __future__ import annotations

from resilience_site.config import Config

HOW = "Run it on a machine of its own (make up, then python manage.py gameday), or say DEPLOYMENT=staging here if this is not production."


def why_not(config: Config) -> str:
    """Why it is refused, with the way out; '' where it may run."""
    if config.deployment != "production":
        return ""
    said = "DEPLOYMENT=production" if config.deployment_given else "it serves databases or addresses that are not its own"
    return f"A game day does not run in production, and this Mendgate is taken to be ({said}): faults take its processors and disk. {HOW}"
