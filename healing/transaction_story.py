"""One transaction as a page tells it: its operations in their order and time, what each came to, and why it ended as it did."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from healing.core.types import Json
from healing.gateway.seal import unseal
from healing.gateway.transactions.story import Restarted, Step
from healing.models import TransactionLog

State = TransactionLog.State
_THINNEST = 0.6


class Lane(Struct, frozen=True):
    """An operation in the picture: where its bar begins and how long it is, in percent of the whole."""

    number: int
    step: Step
    left: float
    width: float
    word: str
    """of its state, in this transaction: what landed in one that was rolled back did not stay"""
    colour: str

    @property
    def milliseconds(self) -> float:
        """How long it took."""
        return self.step.seconds * 1000


class Told(Struct, frozen=True):
    """What the page says."""

    lanes: list[Lane]
    restarts: list[Restarted]
    error: Json
    sentence: str


class _Story(Struct):
    steps: list[Step]
    restarts: list[Restarted] = []
    error: dict[str, Any] | None = None


def told(row: TransactionLog) -> Told:
    """Opens what is sealed. Raises ``SealError``."""
    story = msgspec.json.decode(unseal(row.sealed), type=_Story)
    return Told(_lanes(story.steps, row), story.restarts, story.error, sentence(row, story.error))


def sentence(row: TransactionLog, error: dict[str, Any] | None = None) -> str:
    """How it ended, for people."""
    if row.state == State.COMMITTED:
        undone = "" if row.attempts == 1 else f", at the {_nth(row.attempts)} try"
        return f"All of it was committed together{undone}."
    if row.state == State.BEGUN:
        return "It is under way, as far as its process has told."
    if row.state == State.UNKNOWN:
        return "Its end is not known here: a sweep looks for its record in the target. Without schema mendgate there it stays so."
    if error is None:
        return "Its process or its caller went away before the commit, so the database undid it. Nothing of it is stored."
    where = f" {error['details']}" if str(error.get("details", "")).startswith("Operation ") else ""
    return f"Nothing of it is stored: {error.get('message', 'it could not land')} ({row.code}).{where}"


def _lanes(steps: list[Step], row: TransactionLog) -> list[Lane]:
    whole = max(sum(step.seconds for step in steps), row.seconds if row.attempts == 1 else 0.0, 0.0005)
    found, left = [], 0.0
    for number, step in enumerate(steps):
        width = step.seconds / whole * 100
        word, colour = _state(step, row)
        found.append(Lane(number, step, round(left, 2), round(max(width, _THINNEST), 2), word, colour))
        left = min(left + width, 100 - _THINNEST)
    return found


def _state(step: Step, row: TransactionLog) -> tuple[str, str]:
    """Word and colour (a key of the dashboard's states)."""
    if step.state == "landed":
        if row.state == State.ROLLED_BACK:
            return "undone with the rest", "undone"
        if row.state in (State.BEGUN, State.UNKNOWN):
            return "done, not committed yet", "running"
        return ("healed", "trying") if step.healed else ("landed", "landed")
    return {"undone": ("undone alone", "undone"), "refused": ("could not land", "rejected")}.get(step.state, ("not reached", "plain"))


def _nth(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
