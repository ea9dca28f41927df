"""The targets table: every number as it is now, what it must be, how it went, and what would move it."""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from healing.dashboard import said, spark
from healing.dashboard.asked import Asked
from healing.dashboard.facts import Facts
from metrics.core.summary import NUMBERS, Number

NARROWS = {
    "healing_success_rate": "table", "wrong_heal_rate": "table", "deterministic_fix_rate": "table", "ai_fix_rate": "table",
    "write_p50": "table", "write_p95": "table", "write_p99": "table",
}  # fmt: skip
"""Numbers that can be told of one table. None can be told of one caller: what is replayed later has no caller any more."""
WORDS = {True: ("reached", "success"), False: ("missed", "danger"), None: ("", "plain")}


class Move(Struct, frozen=True):
    """What would move a number, and where that is done."""

    text: str
    link: str


class Row(Struct, frozen=True):
    """One number, said. ``note`` tells where the filter does not reach it."""

    name: str
    title: str
    now: str
    target: str
    word: str
    colour: str
    change: str
    change_is: str
    spark: spark.Spark
    trend_said: str
    note: str
    move: Move | None


def rows(facts: Facts, asked: Asked, moves: Mapping[str, Move]) -> list[Row]:
    """A row for each number of ``metrics.core.summary``."""
    return [_row(number, facts, asked, moves.get(number.name)) for number in NUMBERS]


def reaches(name: str, asked: Asked) -> bool:
    """Whether the filter holds for that number."""
    return not asked.caller and (not asked.table or NARROWS.get(name) == "table")


def _row(number: Number, facts: Facts, asked: Asked, move: Move | None) -> Row:
    within = reaches(number.name, asked)
    now, before, trend = (facts.now, facts.before, facts.trend) if within else (facts.wide, facts.wide_before, facts.wide_trend)
    value = number.of(now)
    steps = [number.of(each.figures) for each in trend]
    word, colour = WORDS[number.reached(value)]
    change, change_is = said.change(number, value, number.of(before))
    return Row(
        number.name, number.title, said.said(value, number.unit), said.target(number), word, colour, change, change_is,
        spark.draw(steps, number.target), _trend(number, steps), "" if within else _whose(asked), move,
    )  # fmt: skip


def _trend(number: Number, steps: list[float | None]) -> str:
    """The trend for who does not see it."""
    known = [value for value in steps if value is not None]
    if not known:
        return "7 days: nothing yet"
    return (
        f"7 days: from {said.said(known[0], number.unit)} to {said.said(known[-1], number.unit)}, most {said.said(max(known), number.unit)}"
    )


def _whose(asked: Asked) -> str:
    return "all callers" if asked.caller and not asked.table else "all tables" if not asked.caller else "all tables and callers"
