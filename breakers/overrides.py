"""A person takes a breaker out of the calls' hands, and gives it back.

An override stands until it is withdrawn. ``closed`` is no override: it closes the breaker once, and the calls decide again.
"""

from __future__ import annotations

from django.db import transaction
from django.utils import timezone

from breakers.config import next_version
from breakers.models import BreakerConfig

NORMAL, FORCED_OPEN, DISABLED, CLOSED = "", "forced_open", "disabled", "closed"
WORDS = {
    FORCED_OPEN: "forced open: every call is refused",
    DISABLED: "disabled: every call goes through and nothing is counted",
    CLOSED: "closed: the calls decide again, from an empty window",
    NORMAL: "back to normal: the calls decide",
}


class NoChange(Exception):
    """It is so already."""


@transaction.atomic
def override(pk: int, to: str, *, who: str, why: str) -> BreakerConfig:
    """Puts an override in force or withdraws it, as a version of its own. Raises ``NoChange``, and ``ValueError`` for an unknown word or a
    missing reason."""
    if to not in WORDS:
        raise ValueError(f"{to!r} is none of {', '.join(sorted(filter(None, WORDS)))}")
    if not why.strip():
        raise ValueError("A reason is required.")
    row = BreakerConfig.objects.select_for_update().get(pk=pk)
    held = "" if to == CLOSED else to
    if to != CLOSED and row.override == held:
        raise NoChange(f"{row.name} is {WORDS[held].partition(':')[0]} already." if held else f"{row.name} is not overridden.")
    row.override, row.override_by = held, who if held else ""
    row.override_why, row.override_at = why.strip()[:500] if held else "", timezone.now() if held else None
    next_version(row, who=who, why=why.strip(), override=to)
    return row
