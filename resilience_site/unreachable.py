"""Says what to do when a database does not answer."""

from __future__ import annotations

from resilience_site.config import config


def explain(error: Exception) -> str:
    """A sentence for a person. Drivers' messages name host and port but no password."""
    first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if config().embedded_control:
        return f"The embedded database is not running ({first}).\nStart it with: make up"
    return f"The control database does not answer ({first}).\nCheck DATABASE_URL, and that the server runs."
