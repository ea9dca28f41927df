"""What an alert says about a change besides its sentence: who is hit, and the one next step."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

MOST_CALLERS = 3
OPENED = frozenset(
    {"row_security_off", "row_security_unforced", "policy_opened", "policy_added", "policy_changed", "grant_opened", "grant_added"}
)
"""More people may read or write than before, perhaps."""
FOLLOWED = frozenset({"table_renamed", "column_renamed", "label_renamed"})
GONE = frozenset({"table_removed", "column_removed", "label_removed", "function_removed"})


def who_is_hit(hits: Any, kind: str, *, writers: bool, readers: bool, inferred: bool) -> str:
    """From the traffic of the last 7 days (``{"requests", "callers": [{"name", "requests"}]}``) where it is known, else from the kind
    of change."""
    if isinstance(hits, dict) and isinstance(hits.get("requests"), int):
        return _counted(hits["requests"], hits.get("callers") or [])
    if _is_followed(kind, inferred):
        return "Callers that still use the former name."
    hit = [who for who, so in (("write", writers), ("read", readers)) if so]
    return f"Callers that {' or '.join(hit)} it the old way." if hit else ""


def next_step(kind: str, *, writers: bool, readers: bool, inferred: bool) -> str:
    """One sentence. What needs nobody says so."""
    if kind in OPENED:
        return "Check that this was meant: it decides who may read and write."
    if _is_followed(kind, inferred):
        return "Nothing breaks: former names are followed. Move the callers over, then retire the old name."
    if kind in GONE:
        return "Writes that name it are kept, not lost: decide what becomes of them."
    if writers:
        return "Writes that no longer fit are kept: approve a fix for them, or change the callers."
    if readers:
        return "Check the callers that read it: answers look different now."
    return "Nothing needs to be done."


def _is_followed(kind: str, inferred: bool) -> bool:
    """Whether callers may go on using the former name: exact lineage carries them."""
    return kind in FOLLOWED and not inferred


def _counted(requests: int, callers: list[Any]) -> str:
    if requests == 0:
        return "No request of the last 7 days touches it."
    names = [f"{caller.get('name') or 'unnamed'} ({caller.get('requests', 0):,})" for caller in callers[:MOST_CALLERS]]
    more = f" and {len(callers) - MOST_CALLERS} more" if len(callers) > MOST_CALLERS else ""
    some = f"{requests:,} request{'s' if requests != 1 else ''} of the last 7 days"
    touch = "touch" if requests != 1 else "touches"
    return f"{some} {touch} it: {', '.join(names)}{more}." if names else f"{some} {touch} it."


def how_long(length: timedelta) -> str:
    """A stretch of time in one unit, rounded down."""
    seconds = int(length.total_seconds())
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"
