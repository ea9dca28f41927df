"""The fast lane: inserts that are clean, or healed exactly, share a statement with others like them.

``try_lane`` answers the request, or says that the slow path must take it (with what the database said, if it was asked).
The lane is only for what it can do without loss: plain rows of one shape, plain columns in the answer, no trigger on insert,
no idempotency record, no count.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct
from msgspec.structs import replace

from healing.core.mend import Applied, Mended, mend
from healing.core.types import Change, Failure, Row
from healing.core.vet import clean
from healing.gateway import receipts
from healing.gateway.answer import Answer
from healing.gateway.attempt import Attempt, healing_headers
from healing.gateway.coalesce import MOST_BYTES, MOST_ROWS, Item, NotMeant
from healing.gateway.response import render_write
from healing.gateway.settle import adds_values, keys_of, lane_relation, plan_of, settle, suits
from healing.gateway.settled import Plan, Settled
from healing.gateway.target import DatabaseError
from schema_monitor.core.snapshot import Relation

UNKNOWN = ("MG504", "XX000")
"""Failures after which the rows may have been stored: never sent a second time."""
_OURS_GONE = ("42P01", "3F000", "42501")
"""What the database may say of the receipts' table."""


class _Load(Struct, frozen=True):
    """One request's rows for a lane, and what is said of them. ``receipt`` is None where nothing was done to them."""

    plan: Plan
    rows: tuple[Row, ...]
    text: bytes
    applied: tuple[Applied, ...] = ()
    receipt: receipts.Receipt | None = None
    headers: Sequence[tuple[str, str]] = ()
    changes: tuple[Change, ...] = ()


async def try_lane(attempt: Attempt) -> Answer | Failure | None:
    """The answer; or why the database refused the rows as they were sent; or None (not for the lane)."""
    payload = attempt.payload
    count = len(payload.rows)
    if not 0 < count <= MOST_ROWS or len(payload.inner) > MOST_BYTES or b"\\u0000" in payload.inner:
        return None
    if count > 1 and attempt.request.accept.kind == "object":
        return None
    settled = settle(attempt)
    rows = None if settled is None else settled.fitting(payload.rows)
    load = _careful(attempt) if settled is None or rows is None else _known(attempt, settled, rows)
    if load is None or (load.receipt and not await attempt.services.has_our_schema()):
        return None
    return await _insert(attempt, load)


def _known(attempt: Attempt, settled: Settled, rows: tuple[Row, ...]) -> _Load:
    """The load of a shape that is settled."""
    sent = attempt.payload.inner
    if settled.names is None:
        return _Load(settled.plan, rows, sent)
    text = receipts.encode(rows)[1:-1]
    head = settled.head
    if len(rows) > 1:
        applied = [replace(each, rows=tuple(range(len(rows)))) for each in settled.applied]
        found = receipts.fixes_of(applied)
        head = receipts.head_of("committed", attempt.statement, settled.plan.relation.name, attempt.caller, found)
    receipt = receipts.Receipt(head, receipts.renamed_values(sent, settled.renamed))
    return _Load(settled.plan, rows, text, settled.applied, receipt, (("Mendgate-Healed", settled.healed),))


def _careful(attempt: Attempt) -> _Load | None:
    """The load of rows that need a look at each value; None where they are not for the lane."""
    relation = lane_relation(attempt) if suits(attempt) else None
    if relation is None:
        return None
    mended = _mended(attempt, relation)
    if mended is None:
        return None
    rows = mended.statement.rows
    keys = mended.statement.columns or keys_of(rows)
    plan = plan_of(attempt, relation, keys, mended.applied) if keys else None
    if plan is None:
        return None
    if rows is attempt.payload.rows:
        return _Load(plan, rows, attempt.payload.inner)
    text = receipts.encode(rows)[1:-1]
    if not (mended.applied or mended.changes):
        return _Load(plan, rows, text)
    receipt = receipts.make(
        "committed",
        attempt.statement,
        relation.name,
        attempt.caller,
        applied=mended.applied,
        changes=mended.changes,
        stored=rows,
    )
    headers = healing_headers(tuple(a.fix for a in mended.applied), mended.changes)
    return _Load(plan, rows, text, mended.applied, receipt, headers, mended.changes)


def _mended(attempt: Attempt, relation: Relation) -> Mended | None:
    """The statement, put right where that is exact or approved; None where anything is left over."""
    if _needs_nothing(attempt, relation):
        return Mended(attempt.statement)
    mended = mend(attempt.statement, attempt.context())
    if mended.misfits or mended.computed or (mended.changes and attempt.strict):
        return None
    return mended


def _needs_nothing(attempt: Attempt, relation: Relation) -> bool:
    """Every row is clean, no key is left out by ``columns``, and no rule could add a value."""
    statement, state = attempt.statement, attempt.services.state
    vet = state.vet(relation)
    if not all([clean(row, vet) for row in statement.rows]):
        return False
    listed = statement.columns
    if listed is not None and any([key not in listed for row in statement.rows for key in row]):
        return False
    return not adds_values(state.rules_for(relation, "insert"))


async def _insert(attempt: Attempt, load: _Load) -> Answer | Failure | None:
    plan = load.plan
    item = Item(load.text, len(load.rows), load.receipt, turn=attempt.caller.turn)
    if plan.touched:
        item.accept = lambda read_back: plan.as_meant(load.rows, read_back, load.changes)
    try:
        records = await attempt.services.coalescer.insert(plan.lane, item)
    except NotMeant:
        return None
    except DatabaseError as error:
        return _refusal(attempt, load, error)
    attempt.relation = plan.relation
    attempt.count_traffic(load.applied, named=plan.named)
    body = "[" + ",".join([record["row"] for record in records]) + "]" if plan.shown else None
    answer = render_write(attempt.request, body=body, affected=item.count, inserted=None, total=None).of(attempt.deed(load.applied))
    return answer.plus(("Mendgate-Receipt", item.receipt_id), *load.headers) if load.receipt else answer


def _refusal(attempt: Attempt, load: _Load, error: DatabaseError) -> Failure | None:
    """What the database said of the rows as they were sent; None where it was asked about healed ones."""
    if error.failure.code in UNKNOWN:
        raise attempt.error_of(error.failure) from error
    if load.receipt and error.failure.code in _OURS_GONE:
        attempt.services.forget_our_schema()
    return error.failure if load.rows is attempt.payload.rows else None
