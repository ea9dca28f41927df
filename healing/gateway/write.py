"""One write, from request to answer.

parse -> policy -> fast lane (clean or exactly healed inserts share a statement, clean writes by key another)
                -> else the healing core, step by step
landed -> 2xx with the receipt's headers        kept -> quarantine, then the original error (or 202)
refused -> the error, nothing written           ``healing=partial`` -> row by row
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from time import perf_counter
from typing import Any

from msgspec.structs import replace

from healing.core import explain, fixes, labels, match
from healing.core.chance import percent
from healing.core.drive import adrive
from healing.core.heal import Kept, Landed, Refused, Result, heal
from healing.core.match import traps
from healing.core.types import Failure, Healing, Kind, Operation, Proposal
from healing.gateway import answer as answers
from healing.gateway import bell, certified, kept, lane, receipts, watch
from healing.gateway.answer import Answer
from healing.gateway.assisted import Assisted
from healing.gateway.attempt import Attempt, Stored, operation_of, statement_of
from healing.gateway.auth import Caller
from healing.gateway.errors import DialectError, from_failure
from healing.gateway.idempotency import Claim, make_claim
from healing.gateway.kept import Envelope
from healing.gateway.keyed import try_keyed
from healing.gateway.payload import EMPTY, NOTHING, Payload, parse_payload
from healing.gateway.request import Request
from healing.gateway.services import Services
from healing.gateway.state import Policy
from healing.gateway.target import DatabaseError

log = logging.getLogger("mendgate.write")

_LEVELS = list(Healing)
_OF_THE_SCHEMA = (Kind.UNKNOWN_COLUMN, Kind.UNKNOWN_TABLE, Kind.UNKNOWN_LABEL, Kind.OUT_OF_RANGE, Kind.TOO_LONG)
_MANY, _TOO_MANY = 20_000, 1_000_000
"""Misfits times rows: what the matcher looks at, some 4 µs each."""
_LONGEST_CAUSE = 1000
"""Characters. Names and labels are compared letter by letter."""
PARTIAL = 207
"""Status of an answer with one outcome a row; each row was told to the metrics by itself."""


async def write(
    services: Services,
    request: Request,
    envelope: Envelope,
    caller: Caller,
    replaying: Claim | None = None,
    assisted: Assisted | None = None,
) -> Answer:
    """Carries out a write. Raises ``DialectError`` for refusals. ``replaying``: this is a replay, under that claim; it is not kept
    again, what cannot land is raised. ``assisted``: a fix that was proven for this very write."""
    payload = payload_of(services, request, envelope)
    policy = services.state.policy(request.schema, request.name, caller.key)
    level = level_of(policy, request)
    claim = replaying or (await claim_of(services, caller, envelope) if "idempotency-key" in envelope.headers else None)
    _check_rollback(request, policy)
    if request.preferences.partial and len(payload.rows) > 1 and replaying is None:
        return await _row_by_row(services, request, envelope, caller, payload)
    failure: Failure | None = None
    shared, inserts = replaying is None and claim is None, operation_of(request) is Operation.INSERT
    if shared and inserts:
        tried_under = services.state.snapshot
        found = await lane.try_settled(services, request, envelope.headers, caller, payload, level)
        if isinstance(found, Answer):
            return found
        shared = found is lane.Careful.LOOK
        if isinstance(found, Failure) and services.state.snapshot is tried_under:
            failure = found  # else it was said of a catalog that is known better by now: send it again
    attempt = Attempt(
        services,
        request,
        caller,
        payload,
        statement_of(request, payload),
        level,
        policy.strict,
        claim,
        envelope.headers,
        policy.allow_tx_rollback,
        "replayed" if replaying else "committed",
        assisted,
    )
    if shared:
        tried_under = services.state.snapshot
        found = await (lane.try_carefully(attempt) if inserts else try_keyed(attempt))
        if isinstance(found, Answer):
            return found
        failure = found if services.state.snapshot is tried_under else None
    try:
        result = await _heal(attempt, failure)
        if isinstance(result, Kept) and replaying is None:
            attempt, result = await _certified(attempt, result)
    except Stored as stored:
        return stored.answer
    if claim is not None and not isinstance(result, Landed) and (before := await attempt.answered_before()) is not None:
        return before
    applied = result.applied if isinstance(result, Landed) else ()
    attempt.count_traffic(applied, misfit=isinstance(result, Kept))
    return (await _answer(attempt, result, envelope, policy, replaying)).of(attempt.deed(applied))


def payload_of(services: Services, request: Request, envelope: Envelope) -> Payload:
    """The rows of a request. Raises ``DialectError``."""
    if request.method == "DELETE":
        return EMPTY
    settings = services.settings
    payload = parse_payload(envelope.body, envelope.headers, depth=settings.depth_limit, most_rows=settings.row_limit)
    if payload is EMPTY:
        raise DialectError("PGRST102", 400, "Empty or invalid json", None, None)
    if request.method == "PATCH" and not payload.rows:
        return NOTHING
    if request.method in ("PATCH", "PUT") and len(payload.rows) != 1:
        raise DialectError("PGRST102", 400, "Expected exactly one object", None, f"{request.method} takes one JSON object.")
    return payload


def level_of(policy: Policy, request: Request) -> Healing:
    """The policy's level; the caller may only lower it."""
    wished = request.preferences.healing
    if wished is None:
        return policy.healing
    return min(policy.healing, Healing(wished), key=_LEVELS.index)


async def claim_of(services: Services, caller: Caller, envelope: Envelope) -> Claim | None:
    """The Idempotency-Key of a request as this caller's claim, if there is one. Raises ``DialectError`` where it cannot be honoured."""
    key = envelope.headers.get("idempotency-key")
    if key is None:
        return None
    if not await services.has_our_schema():
        hint = "Install it with: python manage.py doctor --fix; or send the write without Idempotency-Key."
        raise DialectError("MG501", 501, "Idempotency-Key needs the schema mendgate in the target database", None, hint)
    return make_claim(caller.identity, key, envelope.method, envelope.path, envelope.query, envelope.body, envelope.profile)


def _check_rollback(request: Request, policy: Policy) -> None:
    if request.preferences.tx == "rollback" and request.preferences.strict and not policy.allow_tx_rollback:
        raise DialectError("PGRST122", 400, "Invalid preferences given with handling=strict", "Invalid preferences: tx=rollback")


async def _heal(attempt: Attempt, failure: Failure | None) -> Result:
    """Drives the core; a lost race for an Idempotency-Key starts again and finds the stored answer."""
    try:
        return await adrive(heal(attempt.statement, attempt.context(), failure), attempt.perform)
    finally:
        await attempt.undo()


async def _certified(attempt: Attempt, kept_as: Kept) -> tuple[Attempt, Result]:
    """Policy ``certified``: the best proposal is used where its evidence allows it. What does not land with it is kept
    as it would have been."""
    state = attempt.services.state
    if attempt.level not in certified.LEVELS or not state.certificate.buckets:
        return attempt, kept_as
    proposals = await _proposals(attempt, kept_as)
    sure = certified.sure_of(state.certificate, attempt.level, attempt.relation, kept_as.misfits, proposals)
    if sure is None:
        return attempt, kept_as
    again = attempt.with_fix(sure)
    result = await _heal(again, None)
    return (again, result) if is_final(result) else (attempt, kept_as)


def is_final(result: Result) -> bool:
    """Whether a write with a certified fix ends so: it landed, or nobody knows whether it did. Then keeping it could write it twice."""
    return isinstance(result, Landed) or (isinstance(result, Refused) and result.failure.code in lane.UNKNOWN)


async def _answer(attempt: Attempt, result: Result, envelope: Envelope, policy: Policy, replaying: Claim | None) -> Answer:
    match result:
        case Landed():
            assert attempt.answer is not None
            return attempt.answer
        case Refused(failure, unavailable):
            accept = policy.accept or attempt.request.preferences.quarantine == "accept"
            if not (unavailable and accept) or replaying is not None:
                raise attempt.error_of(failure)
            return await _keep(attempt, Kept(failure, ()), envelope, policy)
        case Kept(failure):
            if replaying is not None or attempt.level is Healing.OFF:
                raise attempt.error_of(failure)
            return await _keep(attempt, result, envelope, policy)
    raise AssertionError(result)


async def _keep(attempt: Attempt, result: Kept, envelope: Envelope, policy: Policy) -> Answer:
    """Quarantine: store first, answer after."""
    error = attempt.error_of(result.failure)
    accept = policy.accept or attempt.request.preferences.quarantine == "accept"
    assist = attempt.level is Healing.ASSISTED and bool(result.misfits)
    proposals = await _proposals(attempt, result)
    relation = attempt.relation
    try:
        versions = await attempt.horizon()
        stored = await kept.keep(
            attempt.services.control,
            envelope,
            attempt.statement,
            relation.name if relation else attempt.request.name,
            attempt.caller,
            result.failure,
            result.misfits,
            proposals,
            automatic=accept,
            claim=attempt.claim,
            row_versions=versions,
            fingerprint=relation.fingerprint if relation else "",
            assist=assist,
        )
    except DialectError:
        raise
    except Exception as trouble:
        log.exception("a write could not be kept")
        note = "Mendgate could not keep this write either; its log says why. Nothing was written; send it again."
        raise DialectError(error.code, error.status, error.message, error.details, note, error.headers) from trouble
    if assist:
        bell.ring()
    headers = (("Mendgate-Receipt", stored.receipt), ("Mendgate-Quarantine", stored.id))
    if accept:
        value = {"quarantine": stored.id, "receipt": stored.receipt, "state": "waiting", "reason": error.message}
        return answers.of_value(202, value, *headers)
    hint = _hint(attempt, error, stored.id, proposals, result)
    told = DialectError(error.code, error.status, error.message, error.details, hint, (*error.headers, *headers))
    return answers.of_error(told)


async def _proposals(attempt: Attempt, result: Kept) -> tuple[Proposal, ...]:
    """The same as ``proposals_for``; what takes long lets others go on meanwhile."""
    if len(result.misfits) * len(attempt.statement.rows) < _MANY:
        return proposals_for(attempt, result)
    return await asyncio.to_thread(proposals_for, attempt, result)


def proposals_for(attempt: Attempt, result: Kept) -> tuple[Proposal, ...]:
    """What could be done, best first; nothing where there is too much to ask about, or a name is longer than any that a person gave.
    A fault of the matcher must not lose the payload."""
    state, misfits = attempt.services.state, result.misfits
    if not misfits or len(misfits) * len(attempt.statement.rows) > _TOO_MANY or any([len(m.signature) > _LONGEST_CAUSE for m in misfits]):
        return ()
    try:
        return match.propose(
            attempt.statement,
            result.misfits,
            attempt.relation,
            state.snapshot,
            claims=attempt.caller.claims,
            lineage=state.lineage,
            former=state.former_columns(attempt.relation),
        )
    except Exception:
        log.exception("the matcher failed; the write is kept without proposals")
        return ()


def _hint(attempt: Attempt, error: DialectError, quarantine: str, proposals: tuple[Proposal, ...], result: Kept) -> str:
    """For whoever wrote the caller's code: where the payload is, and the edit that would make it fit, where one is likely; else where to
    read which migration would."""
    said = f"{error.hint.rstrip('.')}. " if error.hint else ""
    text = f"{said}Nothing was written; the payload is kept in quarantine as {quarantine}."
    likely = probably(attempt, proposals)
    missing = not likely and any(misfit.kind in _OF_THE_SCHEMA for misfit in result.misfits)
    also = f" If it is the schema that lacks something: GET /api/v1/quarantine/{quarantine} has the migration (schema_proposals)."
    return text + (likely or (also if missing else ""))


def probably(attempt: Attempt, proposals: tuple[Proposal, ...]) -> str:
    """What the best proposal would change in the caller's source, if it is more likely than not; else nothing."""
    if not proposals or proposals[0].probability < 0.5:
        return ""
    snapshot, relation = attempt.services.state.snapshot, attempt.relation
    closed = labels.by_name(relation, snapshot.enums) if relation is not None else ()
    fix = fixes.parse(list(proposals[0].fix))
    patch, doubts = explain.source_patch(attempt.statement, fix, closed), "; ".join(traps.of_renames(fix)[:3])
    return f" Probably ({percent(proposals[0].probability)}): {patch or proposals[0].sentence}{doubts and f'. But look: {doubts}'}"


async def _row_by_row(services: Services, request: Request, envelope: Envelope, caller: Caller, payload: Payload) -> Answer:
    """``healing=partial``: each row has its own outcome. 207 with one entry a row, unless all landed without a word."""
    single = replace(request, preferences=replace(request.preferences, partial=False))
    headers = dict(envelope.headers)
    headers["prefer"] = ",".join(p for p in headers.get("prefer", "").split(",") if p.strip() != "healing=partial")
    key = headers.get("idempotency-key")
    outcomes = []
    for number, row in enumerate(payload.rows):
        if key is not None:
            headers["idempotency-key"] = f"{key}#{number}"
        one = replace(envelope, body=receipts.encode([row]), headers=dict(headers))
        outcomes.append(await _outcome(write(services, single, one, caller), single, caller))
    landed = sum(outcome["status"] in (200, 201, 204) for outcome in outcomes)
    return answers.of_value(PARTIAL, outcomes, ("Mendgate-Partial", f"landed={landed}, other={len(outcomes) - landed}"))


async def _outcome(running: Coroutine[Any, Any, Answer], request: Request, caller: Caller) -> dict[str, Any]:
    """What became of one row, for the caller to read."""
    started = perf_counter()
    try:
        answer = await running
    except DialectError as error:
        answer = answers.of_error(error)
    except DatabaseError as error:
        answer = answers.of_error(from_failure(error.failure, authenticated=caller.role != "anon"))
    watch.answered(request, caller, answer, perf_counter() - started)
    found = {name.lower(): value for name, value in answer.headers if name.startswith("Mendgate-")}
    body = receipts.decode(answer.body) if answer.body else None
    return {"status": answer.status, **found, ("body" if answer.status < 300 else "error"): body}
