"""What RQ workers run for breakers. A job carries nothing: Postgres says what is set, Valkey's log what happened."""

from __future__ import annotations

import logging
from collections.abc import Callable

from breakers import asked, events, publish

logger = logging.getLogger(__name__)

PATIENCE = 2.0
"""Seconds that the sweep waits for Valkey to confirm what it told."""


def sweep() -> None:
    """Tells Valkey anew what is set (it may have been away, or come back empty), copies what happened, notes what the code asks for."""
    for step in (_republish, events.copy, asked.note_all, events.prune):
        _safely(step)


def _republish() -> None:
    missing = publish.publish_rows(patience=PATIENCE)
    if missing:
        logger.warning("%s breakers' settings wait for Valkey", missing)


def _safely(step: Callable[[], object]) -> None:
    """A step that fails must not keep the others from running; the next sweep tries it again."""
    try:
        step()
    except Exception:
        logger.exception("breakers: %s failed", step.__name__)
