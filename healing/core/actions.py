"""What the gateway does about a database error, by SQLSTATE: one table, a reason a row (docs: wire.md's table)."""

from __future__ import annotations

from enum import StrEnum
from typing import Final


class Action(StrEnum):
    """What an error code leads to. ``HEAL`` and ``QUARANTINE`` both ask for rules first; the latter has no exact heal of its own."""

    HEAL = "heal"
    REREAD = "reread"
    """read the relation's catalog entry again, then heal."""
    RETRY = "retry"
    """the whole transaction, with jitter and a budget."""
    BOUNDED = "bounded"
    """try again a few times, then quarantine."""
    UNAVAILABLE = "unavailable"
    """the database cannot be reached or used now: 503, retry before send."""
    AWAY = "away"
    """the database is known to be away or too slow: as unavailable, but not tried again at once."""
    REFUSE = "refuse"
    """never healed, never escalated."""
    PASS = "pass"  # noqa: S105 - no password
    """the caller gets the error as it is."""
    QUARANTINE = "quarantine"


_CODES: Final[dict[str, tuple[Action, str]]] = {
    "PGRST001": (Action.AWAY, "the breaker of the database is open"),
    "PGRST003": (Action.AWAY, "the connection to the database fell silent"),
    "PGRST102": (Action.HEAL, "rows with different keys: split by set of keys in one transaction"),
    "PGRST204": (Action.REREAD, "unknown column: the catalog may have changed"),
    "PGRST205": (Action.REREAD, "unknown table: the catalog may have changed"),
    "42703": (Action.REREAD, "unknown column: the catalog may have changed"),
    "42P01": (Action.REREAD, "unknown table: the catalog may have changed"),
    "42804": (Action.REREAD, "our cast is for another type than the column has now"),
    "22P02": (Action.HEAL, "no value of the type: coerce what is lossless, map labels"),
    "22007": (Action.HEAL, "no date: ISO 8601 only, the rest by rule"),
    "22008": (Action.HEAL, "a date out of range: an epoch by rule, 2024-02-30 never"),
    "22009": (Action.HEAL, "no time-zone offset: an extended ISO year is read as one"),
    "42P10": (Action.HEAL, "no such conflict target: lineage on its columns"),
    "21000": (Action.HEAL, "the same row twice in one upsert: only identical rows may collapse"),
    "428C9": (Action.HEAL, "a generated column was written: drop the key by rule only"),
    "22003": (Action.QUARANTINE, "out of range: propose a wider type"),
    "22001": (Action.QUARANTINE, "too long: cut by rule only"),
    "22026": (Action.QUARANTINE, "bit string of another length"),
    "22P05": (Action.QUARANTINE, "NUL in a text cannot be stored"),
    "22P03": (Action.QUARANTINE, "malformed binary value"),
    "23502": (Action.QUARANTINE, "a value is missing: default or fill by rule"),
    "23503": (Action.QUARANTINE, "the parent is missing: wait for it"),
    "23514": (Action.QUARANTINE, "a check fails"),
    "23P01": (Action.QUARANTINE, "an exclusion constraint fails"),
    "44000": (Action.QUARANTINE, "the row is outside the view that it is written through"),
    "23505": (Action.PASS, "a duplicate: never an upsert unasked"),
    "P0001": (Action.PASS, "a trigger's own rule"),
    "42501": (Action.REFUSE, "privilege or row-level security: never healed, never escalated"),
    "42883": (Action.REFUSE, "no such function or operator"),
    "42P17": (Action.REFUSE, "a policy that refers to itself"),
    "55000": (Action.REFUSE, "a view that cannot be written"),
    "0A000": (Action.REFUSE, "not supported by the server"),
    "40001": (Action.RETRY, "serialization failure: nothing happened"),
    "40P01": (Action.RETRY, "deadlock: nothing happened"),
    "26000": (Action.RETRY, "a prepared statement got lost, as behind a pooler"),
    "57014": (Action.AWAY, "the statement had its whole time; again at once it would only hold up others"),
    "55P03": (Action.BOUNDED, "a lock was not available in time"),
    "25006": (Action.UNAVAILABLE, "read-only, as during a failover"),
    "57P01": (Action.UNAVAILABLE, "the server shuts down"),
    "57P02": (Action.UNAVAILABLE, "the server crashed"),
    "57P03": (Action.UNAVAILABLE, "the server starts up"),
    "57P05": (Action.UNAVAILABLE, "the session idled too long"),
}

_CLASSES: Final[dict[str, tuple[Action, str]]] = {
    "08": (Action.UNAVAILABLE, "the connection failed"),
    "53": (Action.UNAVAILABLE, "out of connections, memory or disk"),
    "57": (Action.UNAVAILABLE, "an operator intervened"),
    "58": (Action.UNAVAILABLE, "the server's system failed"),
    "40": (Action.RETRY, "the transaction was rolled back"),
    "22": (Action.QUARANTINE, "a value the database cannot take"),
    "23": (Action.QUARANTINE, "an integrity constraint"),
    "28": (Action.REFUSE, "authorization"),
    "42": (Action.REFUSE, "the statement is not allowed or not valid"),
    "PG": (Action.REFUSE, "the request is not valid"),
    "P0": (Action.PASS, "raised by a function of the application"),
    "PT": (Action.PASS, "an HTTP status raised by a function of the application"),
}

_ELSE: Final = (Action.PASS, "not ours to judge")


def action(code: str, message: str = "") -> Action:
    """What to do about an error code. The message tells apart the few codes that mean two things."""
    return _row(code, message)[0]


def reason(code: str, message: str = "") -> str:
    """Why, in a few words."""
    return _row(code, message)[1]


def _row(code: str, message: str) -> tuple[Action, str]:
    if code == "23503" and message.startswith("update or delete"):
        return Action.PASS, "other rows still refer to this one"
    if code == "0A000" and message.startswith("cached plan"):
        return Action.RETRY, "the table changed under a prepared statement"
    return _CODES.get(code) or _CLASSES.get(code[:2], _ELSE)
