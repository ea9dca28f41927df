"""Reads and function calls: plan, run as the caller, render. Former names are followed by lineage; nothing else is healed.

When the database, or the plan, finds a name unknown, the catalog may be stale: it is read again before that is believed.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from decimal import InvalidOperation
from typing import Any

import msgspec

from healing.gateway import at_once
from healing.gateway.answer import Answer
from healing.gateway.at_once import shown, step_of, text
from healing.gateway.auth import Caller
from healing.gateway.batch import Batch
from healing.gateway.batch import read as read_batch
from healing.gateway.errors import DialectError, from_failure, invalid_body
from healing.gateway.idempotency import Claim, lost_race
from healing.gateway.keyed_read import try_read
from healing.gateway.names import Names
from healing.gateway.own_headers import in_place, sendable, status_of
from healing.gateway.payload import decode
from healing.gateway.plan_read import plan_read
from healing.gateway.plan_rpc import Call, plan_rpc
from healing.gateway.request import Request
from healing.gateway.request_prelude import prelude_of
from healing.gateway.response import check_read, planned_rows, render_call, render_read, total_of
from healing.gateway.services import Services
from healing.gateway.sqltext import Query
from healing.gateway.target import DatabaseError
from healing.gateway.wire_messages import Step
from schema_monitor.core.snapshot import Snapshot

log = logging.getLogger("mendgate.read")
_MOST_TRIES = 3
"""A catalog that changes while it is read may change again."""
_STALE = frozenset({"42703", "42P01", "42883", "42804", "0A000"})
_WROTE = Step("SELECT pg_current_xact_id_if_assigned()::text")
_UNKNOWN = frozenset({"PGRST200", "PGRST202", "PGRST204", "PGRST205", "42703", "42P01"})


async def read(
    services: Services, request: Request, caller: Caller, headers: Mapping[str, str], body: bytes, claim: Claim | None = None
) -> Answer:
    """Answers a GET or HEAD on a table, or any call of a function; under ``claim`` a function that writes has one effect. Raises
    ``DialectError``."""
    if (answer := await try_read(services, request, caller)) is not None:
        return answer
    for _ in range(_MOST_TRIES):
        tried_under = services.state.snapshot
        try:
            return await _once(services, request, caller, headers, body, claim)
        except DialectError as error:
            if error.code not in _UNKNOWN or not await _news(services, request, tried_under):
                raise
        except DatabaseError as error:
            code = error.failure.code
            if code != "40001" and (code not in _STALE or not await _news(services, request, tried_under)):
                raise from_failure(error.failure, authenticated=caller.role != "anon") from error
    try:
        return await _once(services, request, caller, headers, body, claim)
    except DatabaseError as error:
        raise from_failure(error.failure, authenticated=caller.role != "anon") from error


async def _news(services: Services, request: Request, tried_under: Snapshot) -> bool:
    """Whether more is known by now than when the request was tried: by itself, of its table, or (at most once a second) of all. Raises
    ``DatabaseError`` (MG503) where that cannot be found out now."""
    if services.state.snapshot is tried_under and request.kind == "table":
        known = Names(tried_under, services.state.lineage).find_relation(request.schema, request.name)
        await services.reread(request.schema, request.name, known)
    return services.state.snapshot is not tried_under or await services.reread_all()


async def _once(
    services: Services, request: Request, caller: Caller, headers: Mapping[str, str], body: bytes, claim: Claim | None
) -> Answer:
    state = services.state
    level = state.policy(request.schema, request.name, caller.key).healing
    names = Names(state.snapshot, state.lineage, follow=level != "off" and request.preferences.healing != "off")
    planned = _plan_call(request, names, headers, body) if request.kind == "rpc" else plan_read(request, names)
    query = planned.query if isinstance(planned, Call) else planned
    prelude = prelude_of(caller, request, headers)
    if query.read_only and query.count_query is None:
        ((*row,),) = await read_batch(services.pool, (prelude.step,), step_of(query), caller.turn)
        record = shown(row)
        answer = _answered(request, names, planned, record, None)
    else:
        begun = await at_once.begun(services.pool, prelude, query.count_query or query, caller.turn, None if query.read_only else claim)
        if isinstance(begun, Answer):
            return begun
        record, answer = await _finished(begun, request, names, planned, query, claim)
    _count(services, caller, names, planned, record["n"])
    return answer


async def _finished(
    batch: Batch, request: Request, names: Names, planned: Query | Call, query: Query, claim: Claim | None
) -> tuple[dict[str, Any], Answer]:
    """The rest of a transaction in which the query has run, or has been guessed at: its record, and the answer."""
    guessed = None
    try:
        if query.count_query is not None:
            guessed = planned_rows(text(batch.rows[0][0]) or "")
            await batch.ask((), step_of(query))
        record = shown(batch.rows[0])
        answer = _answered(request, names, planned, record, guessed)
    except DatabaseError:
        raise  # the transaction is over
    except BaseException:
        await batch.rollback()
        raise
    await _commit(batch, query, claim, answer)
    return record, answer


def _answered(request: Request, names: Names, planned: Query | Call, record: Mapping[str, Any], guessed: int | None) -> Answer:
    check_read(request, record["n"])
    return _rendered(request, planned, record, guessed).plus(*_headers(names))


def _count(services: Services, caller: Caller, names: Names, planned: Query | Call, rows: int) -> None:
    if isinstance(planned, Call):
        services.traffic.called(planned.function, caller, planned.given)
    services.traffic.read(names, caller, rows)


async def _commit(batch: Batch, query: Query, claim: Claim | None, answer: Answer) -> None:
    """Ends the transaction; one that may have written can be looked up by its id, and remembers its answer."""
    if query.read_only:
        await batch.commit()
        return
    await batch.ask((), _WROTE)
    try:
        await batch.commit(claim.record_sql(answer) if claim else "", text(batch.rows[0][0]))
    except DatabaseError as error:
        raise lost_race(error) from error


def _plan_call(request: Request, names: Names, headers: Mapping[str, str], body: bytes) -> Call:
    if request.method != "POST":
        return plan_rpc(request, names)
    media = headers.get("content-type", "application/json").partition(";")[0].strip().lower()
    if media != "application/json":
        return plan_rpc(request, names, body=_text(body), content_type=media)
    text = body.strip() or b"{}"
    try:
        value = decode(text)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError, InvalidOperation):
        raise invalid_body() from None
    given = tuple(value) if isinstance(value, dict) else ()
    return plan_rpc(request, names, given=given, body=_text(text))


def _text(body: bytes) -> str:
    try:
        return body.decode()
    except UnicodeDecodeError:
        raise invalid_body("The body is no UTF-8") from None


def _rendered(request: Request, planned: Query | Call, record: Mapping[str, Any], guessed: int | None) -> Answer:
    total = total_of(request, record["total"], guessed)
    if not isinstance(planned, Call):
        return render_read(request, body=record["body"], n=record["n"], total=total)
    answer = render_call(request, body=record["body"], n=record["n"], total=total, void=planned.void)
    headers = in_place(answer.headers, _own_headers(record["response_headers"]))
    return Answer(status_of(record["response_status"]) or answer.status, headers, answer.body)


def _own_headers(text: str | None) -> list[tuple[str, str]]:
    """Headers that the function set: a JSON array of objects of one pair each."""
    if text is None:
        return []
    try:
        pairs = [pair for item in msgspec.json.decode(text, type=list[dict[str, str]]) for pair in item.items()]
    except (msgspec.DecodeError, msgspec.ValidationError):
        raise DialectError(
            "PGRST111", 500, "response.headers guc must be a JSON array composed of objects with a single key and a string value"
        ) from None
    return sendable(pairs)


def _headers(names: Names) -> list[tuple[str, str]]:
    if not names.healed:
        return []
    text = ", ".join(f"{kind}({old}->{new})" for kind, old, new in names.healed)
    return [("Mendgate-Healed", text.encode("ascii", "backslashreplace").decode())]
