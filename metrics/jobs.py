"""What the worker does for the metrics."""

from __future__ import annotations

from metrics import store


def sweep() -> None:
    """Makes points of what was flushed, forgets old ones."""
    store.ingest()
    store.prune()
