"""The fast lane: inserts that are clean, or healed exactly, share a statement with others like them.

``try_settled`` takes rows of a shape that is settled; ``try_carefully`` looks at each value. Each answers the request, or says that the
slow path must take it (with what the database said, if it was asked). The lane is only for what it can do without loss: plain rows of one
shape, plain columns in the answer, no trigger on insert, no idempotency record, no count.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import Enum
from functools import partial
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from healing.core.mend import Applied, Mended, mend
from healing.core.types import Change, Failure, Healing, Row
from healing.core.vet import all_clean, clean
from healing.gateway import receipts
from healing.gateway.answer import Answer
from healing.gateway.attempt import Attempt, error_of, healing_headers, statement_of
from healing.gateway.auth import Caller
from healing.gateway.coalesce import FIRST, MOST_BYTES, MOST_ROWS, Item, NotMeant
from healing.gateway.payload import Payload
from healing.gateway.request import Request
from healing.gateway.services import Services
from healing.gateway.settle import keys_of, lane_relation, plan_of, settled_of, suits
from healing.gateway.settled import Plan, Settled, values_of
from healing.gateway.sharing import TableHeld
from healing.gateway.target import DatabaseError
from healing.gateway.wire_messages import Record
from schema_monitor.core.snapshot import Relation

UNKNOWN = ("MG504", "XX000")
"""Failures after which the rows may have been stored: never sent a second time."""
_OURS_GONE = ("42P01", "3F000", "42501")
"""What the database may say of the receipts' table."""


class Careful(Enum):
    """Nothing was sent: the rows need a look at each value."""

    LOOK = 0


class Load(Struct, frozen=True):
    """One request's rows for a lane, and what is said of them. ``receipt`` is None where nothing was done to them."""

    plan: Plan
    rows: tuple[Row, ...]
    text: bytes
    applied: tuple[Applied, ...] = ()
    receipt: receipts.Receipt | None = None
    headers: Sequence[tuple[str, str]] = ()
    changes: tuple[Change, ...] = ()


async def try_settled(
    services: Services, request: Request, headers: Mapping[str, str], caller: Caller, payload: Payload, level: Healing
) -> Answer | Failure | Literal[Careful.LOOK] | None:
    """The answer to an insert of a settled shape; or why the database refused the rows as they were sent; or None (not for a lane);
    or that the shape is not settled, or a value needs a second look."""
    rows = payload.rows
    if not fits(request, payload):
        return None
    settled = settled_of(services, request, headers, caller, rows, level)
    if settled is None or not all_clean(rows, settled.accepts):
        return Careful.LOOK
    item = Item(payload.inner, len(rows), turn=caller.turn)
    if settled.heal is not None:
        if not (services.surely_has_our_schema or await services.has_our_schema()):
            return None
        _note_heal(item, request, caller, settled, rows)
    try:
        records = await services.coalescer.send(settled.plan.lane, item)
    except NotMeant:
        return None
    except DatabaseError as error:
        return _refusal(services, caller, item, error, as_sent=settled.heal is None)
    services.traffic.wrote_as_before(settled.place, settled.plan.relation, len(rows), renamed=settled.heal is not None)
    return answer_of(settled.plan, settled.answer, item, records)


async def try_carefully(attempt: Attempt) -> Answer | Failure | None:
    """The answer; or why the database refused the rows as they were sent; or None (not for the lane). The rows are few and small enough
    (``try_settled`` has seen to that)."""
    load = careful(attempt)
    if load is None or (load.receipt and not await attempt.services.has_our_schema()):
        return None
    plan, services = load.plan, attempt.services
    item = Item(load.text, len(load.rows), load.receipt, turn=attempt.caller.turn)
    if plan.touched:
        item.meant, item.accept = values_of(load.rows, plan.touched), partial(plan.as_meant, changes=load.changes)
    try:
        records = await services.coalescer.send(plan.lane, item)
    except NotMeant:
        return None
    except DatabaseError as error:
        return _refusal(services, attempt.caller, item, error, as_sent=load.rows is attempt.payload.rows)
    attempt.relation = plan.relation
    attempt.count_traffic(load.applied, named=plan.named)
    return answer_of(plan, plan.answer.plus(*load.headers).of(attempt.deed(load.applied)), item, records)


def fits(request: Request, payload: Payload) -> bool:
    """Whether a lane takes so many rows, so large ones."""
    count = len(payload.rows)
    if not 0 < count <= MOST_ROWS or len(payload.inner) > MOST_BYTES or b"\\u0000" in payload.inner:
        return False
    return count == 1 or request.accept.kind != "object"


def _note_heal(item: Item, request: Request, caller: Caller, settled: Settled, rows: tuple[Row, ...]) -> None:
    """What was done to the rows: the receipt, and what must come back."""
    plan, heal = settled.plan, settled.heal
    assert heal is not None
    head = heal.head
    if len(rows) > 1:
        applied = [replace(each, rows=tuple(range(len(rows)))) for each in heal.applied]
        statement = statement_of(request, Payload(rows, b"", False))
        head = receipts.head_of("committed", statement, plan.relation.name, caller, receipts.fixes_of(applied))
    item.receipt = receipts.Receipt(head, receipts.renamed_values(item.rows, heal.told))
    item.meant, item.accept = values_of(rows, heal.keys), plan.as_meant


def answer_of(plan: Plan, answer: Answer, item: Item, records: Sequence[Record]) -> Answer:
    """``answer`` as it is given for one row, with what was shown and stored of these."""
    headers, body, deed = answer.headers, b"", answer.deed
    if item.receipt is not None:
        headers = [*headers, ("Mendgate-Receipt", item.receipt_id)]
    if plan.shown == "object":
        body = records[0][FIRST] or b""
    elif plan.shown:
        body = b"[%b]" % b",".join([record[FIRST] or b"" for record in records])
    if item.count > 1 and deed is not None:
        deed = replace(deed, rows=item.count)
    return Answer(answer.status, headers, body, deed, answer.ready)


def careful(attempt: Attempt) -> Load | None:
    """The load of rows that need a look at each value; None where they are not for the lane."""
    relation = lane_relation(attempt) if suits(attempt) else None
    if relation is None:
        return None
    mended = _mended(attempt, relation)
    if mended is None:
        return None
    rows = mended.statement.rows
    keys = mended.statement.columns or keys_of(rows)
    plan = plan_of(attempt, relation, {key: key for key in keys}, mended.applied) if keys else None
    if plan is None:
        return None
    if rows is attempt.payload.rows:
        return Load(plan, rows, attempt.payload.inner)
    text = receipts.encode(rows)[1:-1]
    if not (mended.applied or mended.changes):
        return Load(plan, rows, text)
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
    return Load(plan, rows, text, mended.applied, receipt, headers, mended.changes)


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
    if not all([clean(row, vet.accepts) for row in statement.rows]):
        return False
    listed = statement.columns
    if listed is not None and any([key not in listed for row in statement.rows for key in row]):
        return False
    return not state.rulebook_for(relation, "insert").supplied


def _refusal(services: Services, caller: Caller, item: Item, error: DatabaseError, *, as_sent: bool) -> Failure | None:
    """What the database said of the rows as they were sent; None where it was asked about healed ones."""
    if error.failure.code in UNKNOWN or isinstance(error, TableHeld):
        raise error_of(error.failure, caller) from error
    if item.receipt and error.failure.code in _OURS_GONE:
        services.forget_our_schema()
    return error.failure if as_sent else None
