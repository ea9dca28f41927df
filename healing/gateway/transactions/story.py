"""What a transaction tells of itself: a ``Record``. Written with its commit, or by the ``Journal`` where there was none.

No payload is in it. What may quote a value (errors, mapped values, changed ones) is in ``story``, which is stored sealed.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec import Struct

from healing.core.types import Failure
from healing.gateway import receipts
from healing.gateway.auth import Caller
from healing.gateway.errors import DialectError
from healing.gateway.transactions.asked import Operation, Transaction
from healing.gateway.transactions.refs import references

BEGUN, COMMITTED, ROLLED_BACK, UNKNOWN = "begun", "committed", "rolled back", "unknown"
OUTCOME_UNKNOWN = "MG504"
_MOST_TEXT = 500


class Step(Struct, omit_defaults=True):
    """One operation. ``state``: not reached, landed, undone (its savepoint was), refused (it undid all); ``rows`` as sent, None where a
    condition says which; ``refers``: the operations it took values from."""

    op: str
    table: str
    name: str = ""
    rows: int | None = None
    savepoint: bool = False
    refers: tuple[str, ...] = ()
    state: str = "not reached"
    count: int = 0
    seconds: float = 0.0
    healed: str = ""
    changed: str = ""
    receipt: str = ""
    error: dict[str, Any] | None = None


class Restarted(Struct):
    """A try that was begun anew, and why."""

    code: str
    message: str


class Record(Struct, frozen=True):
    """A transaction as it is stored. ``at`` in Unix seconds; ``story``: JSON ``{"steps":[…],"restarts":[…],"error":…}``."""

    id: str
    at: float
    state: str
    code: str
    isolation: str
    attempts: int
    seconds: float
    operations: int
    healed: int
    tables: tuple[str, ...]
    key: str | None
    role: str
    subject: str
    story: msgspec.Raw


class Story:
    """Of one request, over all its tries."""

    def __init__(self, asked: Transaction, caller: Caller) -> None:
        self.id = receipts.bundle_id()
        self._asked, self._caller = asked, caller
        self._at, self._began = time.time(), time.perf_counter()
        self._restarts: list[Restarted] = []
        self._steps = _steps(asked.operations)
        self._attempts = 0

    def try_begins(self, attempt: int) -> None:
        """Nothing landed yet."""
        self._attempts, self._steps = attempt, _steps(self._asked.operations)

    def landed(self, number: int, seconds: float, count: int, said: dict[str, str]) -> None:
        """An operation that did. ``said``: healed, changed, receipt, where there are."""
        step = self._steps[number]
        step.state, step.seconds, step.count = "landed", round(seconds, 6), count
        step.healed, step.changed, step.receipt = (_short(said.get(name, "")) for name in ("healed", "changed", "receipt"))

    def stumbled(self, number: int, error: DialectError, undone: bool) -> None:
        """An operation that could not land; ``undone``: the others go on."""
        step = self._steps[number]
        step.state, step.error = "undone" if undone else "refused", _error(error)

    def restarts(self, failure: Failure) -> None:
        """All of it begins anew."""
        self._restarts.append(Restarted(failure.code, _short(failure.message)))

    def record(self, state: str, error: DialectError | None = None) -> Record:
        """What is so now."""
        steps, caller = self._steps, self._caller
        story = {"steps": steps, "restarts": self._restarts, "error": error and _error(error)}
        return Record(
            self.id, self._at, state, _stored(error.code)[:40] if error else "", self._asked.isolation or "read committed", self._attempts,
            round(time.perf_counter() - self._began, 6), len(steps), sum(bool(step.healed) for step in steps),
            tuple(dict.fromkeys(step.table for step in steps)), caller.key, caller.role, _stored(caller.subject),
            msgspec.Raw(receipts.encode(story)),
        )  # fmt: skip


def ended_by(error: DialectError) -> str:
    """The state in which an error leaves a transaction."""
    return UNKNOWN if error.code == OUTCOME_UNKNOWN else ROLLED_BACK


def _steps(operations: Sequence[Operation]) -> list[Step]:
    return [
        Step(
            each.op, _stored(each.table), _stored(each.name or ""), _rows(each), each.savepoint,
            tuple(dict.fromkeys(_stored(name) for name, _, _ in references(each))),
        )
        for each in operations
    ]  # fmt: skip


def _rows(operation: Operation) -> int | None:
    if operation.rows is None:
        return None
    return len(operation.rows) if isinstance(operation.rows, list) else 1


def _error(error: DialectError) -> dict[str, Any]:
    parts = {"code": error.code, "message": error.message, "details": error.details, "hint": error.hint}
    return {name: _short(str(part)) for name, part in parts.items() if part is not None}


def _short(text: str) -> str:
    return text if len(text) <= _MOST_TEXT else text[: _MOST_TEXT - 1] + "…"


def _stored(text: str) -> str:
    """As Postgres can hold it."""
    return _short(text.replace("\0", "\ufffd"))
