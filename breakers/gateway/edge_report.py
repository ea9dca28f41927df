"""Reading a batch of reports: each item by itself, so that a bad one costs only itself.

    {"reports": [{"name": "mail", "outcome": "ok", "ms": 12, "weight": 20}, …], "isolate": "…"}      or the array alone
``ms`` = how long the call took; ``weight`` = of how many successes this one was sampled; ``token`` = what acquire gave;
``id`` = makes a retry of the same report count once; ``version`` = of the state in which the call began, so that a late result
counts nowhere; ``error`` = a short text for the breaker's *why*.
"""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from breakers.core.types import Outcome
from breakers.gateway.edge_errors import EdgeError, bad_input
from breakers.gateway.edge_rights import checked_name, not_ours

MOST_ITEMS = 500
MOST_WEIGHT = 1_000
MOST_MS = 3_600_000
LONGEST_ID = 200
LONGEST_ERROR = 500
_KEYS = frozenset({"name", "outcome", "ms", "weight", "token", "error", "id", "version"})
_OUTCOMES = {outcome.value: outcome for outcome in Outcome}
_EXPECTED = 'Send an array of reports, or {"reports": [...], "isolate": "..."}.'


class Report(Struct, frozen=True):
    """One call that ended, as its caller tells it."""

    name: str
    outcome: Outcome
    seconds: float = 0.0
    weight: int = 1
    token: str = ""
    error: str = ""
    id: str = ""
    version: int = 0


class Batch(Struct, frozen=True):
    """``items`` in the order they came: a report, or why it is none."""

    items: tuple[Report | EdgeError, ...]
    isolate: str = ""


def read(body: bytes, name: str | None, key: str) -> Batch:
    """A batch. ``name`` where the path says it; ``key`` (Idempotency-Key) gives items without an id one. Raises ``EdgeError``."""
    given = decoded(body)
    isolate = ""
    if isinstance(given, dict) and "reports" in given:
        if unknown := given.keys() - {"reports", "isolate"}:
            raise bad_input(f"Unknown: {', '.join(sorted(unknown))}", _EXPECTED)
        isolate, given = _text(given, "isolate", 1_000), given["reports"]
    elif isinstance(given, dict) and name is not None:
        given = [given]
    if not isinstance(given, list):
        raise bad_input("There is no array of reports", _EXPECTED)
    if not 0 < len(given) <= MOST_ITEMS:
        raise bad_input(f"{len(given)} reports at once", f"Send 1 to {MOST_ITEMS}.")
    if len(key) > LONGEST_ID:
        raise bad_input("The Idempotency-Key is too long", f"At most {LONGEST_ID} letters.")
    return Batch(tuple(_item(each, name, f"{key}/{n}" if key else "") for n, each in enumerate(given)), isolate)


def decoded(body: bytes) -> Any:
    """The JSON of a body. Raises ``EdgeError`` 400."""
    try:
        return msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise EdgeError("MG400", 400, "The body is no JSON", _EXPECTED) from None


def _item(given: Any, name: str | None, fallback_id: str) -> Report | EdgeError:
    try:
        return _report(given, name, fallback_id)
    except EdgeError as error:
        return error


def _report(given: Any, name: str | None, fallback_id: str) -> Report:
    if not isinstance(given, dict):
        raise bad_input("A report is an object", 'Like {"name": "mail", "outcome": "failure", "ms": 120}.')
    if unknown := given.keys() - _KEYS:
        raise bad_input(f"Unknown in a report: {', '.join(sorted(unknown))[:200]}", f"There are {', '.join(sorted(_KEYS))}.")
    said = _text(given, "name", 1_000) or name or ""
    if name is not None and said != name:
        raise bad_input("The report names another breaker than the path", "Leave the name out, or use /api/v1/breakers/report.")
    not_ours(checked_name(said))
    outcome = _OUTCOMES.get(str(given.get("outcome")))
    if outcome is None:
        raise bad_input(f"Unknown outcome {str(given.get('outcome'))[:50]!r}", f"One of {', '.join(_OUTCOMES)}.")
    weight = given.get("weight", 1)
    if type(weight) is not int or not 1 <= weight <= (MOST_WEIGHT if outcome is Outcome.OK else 1):
        raise bad_input("This weight cannot be", f"A whole number from 1 to {MOST_WEIGHT} for ok; the rest is reported call by call.")
    error = _text(given, "error", 10_000)[:LONGEST_ERROR]
    token, own_id = _text(given, "token", LONGEST_ID), _text(given, "id", LONGEST_ID)
    return Report(said, outcome, _seconds(given.get("ms", 0)), weight, token, error, own_id or fallback_id, _version(given))


def _seconds(ms: Any) -> float:
    if isinstance(ms, bool) or not isinstance(ms, int | float) or not 0 <= ms <= MOST_MS:
        raise bad_input("ms is no duration", f"A number from 0 to {MOST_MS}.")
    return float(ms) / 1000


def _version(given: dict[str, Any]) -> int:
    version = given.get("version", 0)
    if type(version) is not int or not 0 <= version < 2**53:
        raise bad_input("version is no whole number", "Send the version that acquire or the snapshot told, or none.")
    return version


def _text(given: dict[str, Any], key: str, longest: int) -> str:
    value = given.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > longest:
        raise bad_input(f"{key} is no text of at most {longest} letters")
    return value
