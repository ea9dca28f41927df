"""What the worker does for the metrics."""

from __future__ import annotations

from metrics import store, triggers


def sweep() -> None:
    """Makes points of what was flushed, forgets old ones, judges."""
    store.ingest()
    store.prune()
    triggers.look()
