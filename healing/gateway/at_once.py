"""A statement that goes to Postgres together with what opens its transaction, instead of behind it."""

from __future__ import annotations

from typing import Any

from healing.gateway.answer import Answer
from healing.gateway.batch import Batch, begin
from healing.gateway.idempotency import Claim, asked, found
from healing.gateway.prelude import Prelude
from healing.gateway.sqltext import Query
from healing.gateway.target import Pool
from healing.gateway.wire_messages import Record, Step


def step_of(query: Query) -> Step:
    """The query for the wire. What is no text that a database takes, it refuses."""
    return Step(query.sql, [None if value is None else str(value).encode(errors="surrogatepass") for value in query.params])


async def begun(pool: Pool, prelude: Prelude, query: Query, turn: str, claim: Claim | None) -> Batch | Answer:
    """A transaction in which the query has run; or the answer that was given before. Raises ``DatabaseError``, or what
    ``idempotency.found`` does: then it is over."""
    if claim is None:
        return await begin(pool, (prelude.step,), step_of(query), turn, to_read=query.read_only)
    batch = await begin(pool, (), asked(claim), turn)
    answer = await _answered(batch, claim)
    if answer is not None:
        return answer
    await batch.ask((prelude.step,), step_of(query))
    return batch


async def _answered(batch: Batch, claim: Claim) -> Answer | None:
    """What was answered before; then the transaction is over."""
    try:
        answer = found(batch.rows[0], claim)
    except BaseException:
        await batch.rollback()
        raise
    if answer is not None:
        await batch.rollback()
    return answer


def written(record: Record) -> dict[str, Any]:
    """The columns that ``plan_write`` asks for, in its order."""
    body, n, inserted, total, back, location, xid, same = record
    return {
        "body": text(body),
        "n": _number(n),
        "inserted": _number(inserted),
        "total": _number(total),
        "back": text(back),
        "location": text(location),
        "xid": text(xid),
        "same": same == b"t",
    }


def shown(record: Record) -> dict[str, Any]:
    """The columns that ``plan_read`` and ``plan_rpc`` ask for, in their order: the last two only of a call."""
    body, n, total, *own = record
    headers, status = own or (None, None)
    return {"body": body, "n": _number(n) or 0, "total": _number(total), "response_headers": text(headers), "response_status": text(status)}


def text(value: bytes | None) -> str | None:
    """As Postgres said it, in UTF-8."""
    return None if value is None else value.decode()


def _number(value: bytes | None) -> int | None:
    return None if value is None else int(value)
