"""What the dashboard can be narrowed to: the tables and callers that were ever counted, and the stretches of time."""

from __future__ import annotations

from uuid import UUID

from msgspec import MsgspecError, Struct

from healing.dashboard.asked import WINDOWS, Asked
from healing.models import ApiKey
from healing.schema_facts.versions import newest
from metrics import timelines

MOST = 500
"""In one list: more nobody reads."""


class Choice(Struct, frozen=True):
    """One entry of a list, or one stretch."""

    value: str
    words: str
    chosen: bool
    query: str


class Filters(Struct, frozen=True):
    """``any`` says whether something is filtered."""

    windows: list[Choice]
    tables: list[Choice]
    callers: list[Choice]
    any: bool


def filters(asked: Asked) -> Filters:
    """With what is chosen now; a chosen table or caller is in the list even if nobody knows it."""
    windows = [Choice(name, window.said, name == asked.last, asked.query(last=name)) for name, window in WINDOWS.items()]
    tables = [(table, table) for table in timelines.values_of("table")[:MOST]]
    callers = _callers(asked.caller)
    return Filters(windows, _choices(tables, asked.table), _choices(callers, asked.caller), bool(asked.only))


def a_table() -> str:
    """The name of a served table, for an example; '' where none is known, or the newest version cannot be read."""
    try:
        found = newest()
    except MsgspecError:
        return ""
    names = sorted(r.name for r in found[1].relations.values() if r.kind in ("r", "p")) if found else []
    return names[0] if names else ""


def _callers(chosen: str) -> list[tuple[str, str]]:
    """Keys by their name, roles as they are."""
    values = dict.fromkeys([*timelines.values_of("caller")[:MOST], *filter(None, [chosen])])
    names = dict(ApiKey.objects.filter(pk__in=[value for value in values if _is_key(value)]).values_list("pk", "name"))
    said = [(value, names.get(UUID(value), f"key {value[:8]}") if _is_key(value) else value) for value in values]
    return sorted(said, key=lambda choice: choice[1])


def _choices(known: list[tuple[str, str]], chosen: str) -> list[Choice]:
    if chosen and chosen not in dict(known):
        known = [*known, (chosen, chosen)]
    return [Choice(value, words, value == chosen, "") for value, words in known]


def _is_key(value: str) -> bool:
    try:
        UUID(value)
    except ValueError:
        return False
    return True
