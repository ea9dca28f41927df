"""One transaction, from request to answer.

read -> begin (idempotency, then role and claims) -> each operation in a savepoint: translated, healed, verified as a single write
     -> receipts, the idempotency record and the transaction's own (``story``) -> commit
An operation that cannot land undoes all, unless it asked for a savepoint of its own. What says "begin anew" does, a few times.
Nothing of a transaction is kept in quarantine: it is refused without effect, and says which operation was the reason.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from time import perf_counter
from typing import Any

from msgspec import Struct

from healing.core.drive import adrive
from healing.core.heal import Kept, Landed, Refused, heal
from healing.core.types import Failure, Row
from healing.gateway import answer as answers
from healing.gateway import idempotency, kept, receipts, watch
from healing.gateway.answer import Answer
from healing.gateway.attempt import statement_of
from healing.gateway.auth import Caller
from healing.gateway.errors import DialectError, from_failure
from healing.gateway.idempotency import Claim
from healing.gateway.kept import Envelope
from healing.gateway.payload import parse_payload
from healing.gateway.request import Request, parse
from healing.gateway.request_prelude import prelude_of
from healing.gateway.services import Services
from healing.gateway.target import DatabaseError, Transaction
from healing.gateway.transactions import asked as wishes
from healing.gateway.transactions.asked import Operation, place
from healing.gateway.transactions.member import Member, Restart, Shared
from healing.gateway.transactions.refs import NotGiven, needed
from healing.gateway.transactions.story import COMMITTED, UNKNOWN, Story, ended_by
from healing.gateway.transactions.translate import rows_of, translate
from healing.gateway.write import claim_of, level_of, payload_of, probably, proposals_for

PATH = "/api/v1/transactions"
MOST_TRIES = 6
ID = "Mendgate-Transaction"
_ALLOWED = (("Allow", "POST,OPTIONS"),)


class Failed(Exception):
    """An operation that cannot land."""

    def __init__(self, error: DialectError, likely: str) -> None:
        super().__init__(error.message)
        hint = f"{error.hint.rstrip('.')}.{likely}".strip() if error.hint else likely.strip() or None
        self.error = DialectError(error.code, error.status, error.message, error.details, hint, error.headers)


class Done(Struct):
    """An operation that landed: for its answer, the metrics and later references."""

    member: Member
    answer: Answer
    landed: Landed
    seconds: float


async def transact(services: Services, envelope: Envelope, caller: Caller) -> Answer:
    """Answers one request. Raises ``DialectError``; then nothing was written."""
    if envelope.method != "POST":
        raise DialectError("MG405", 405, "Transactions are sent with POST", None, None, _ALLOWED)
    settings = services.settings
    whole = parse_payload(envelope.body, envelope.headers, depth=settings.depth_limit, most_rows=1)
    if not whole.single:
        raise wishes.refusal("The body must be one JSON object")
    work = _Work(services, envelope, caller, wishes.read(whole.rows[0]), await claim_of(services, caller, envelope))
    try:
        return await _tried(work)
    except DialectError as error:
        raise work.over(error) from error.__cause__
    except BaseException:
        work.broke()
        raise
    finally:
        services.journal.forget(work.story)


async def _tried(work: _Work) -> Answer:
    """Once, and again where it has to begin anew."""
    for attempt in range(1, MOST_TRIES + 1):
        try:
            return await work.once(attempt)
        except Restart as restart:
            work.story.restarts(restart.failure)
            if attempt == MOST_TRIES:
                raise _worded(restart.failure, work.caller) from None
            await asyncio.sleep(random.uniform(0.5, 1.5) * 0.01 * 2**attempt)  # noqa: S311 - jitter
    raise AssertionError("unreachable")


class _Work:
    """What stays the same from one try to the next."""

    def __init__(self, services: Services, envelope: Envelope, caller: Caller, asked: wishes.Transaction, claim: Claim | None) -> None:
        self.services, self.envelope, self.caller, self.asked, self.claim = services, envelope, caller, asked, claim
        self.needed = needed(asked)
        self.root = _root(envelope.headers, services.settings.exposed_schemas)
        self.story = Story(asked, caller)
        self._journaled = False
        self._has_ours = False

    async def once(self, attempt: int) -> Answer:
        """One try. Raises ``Restart``, or ``DialectError`` where it is over."""
        self.story.try_begins(attempt)
        try:
            begun = await self._begin()
        except DatabaseError as error:
            self._journaled = True
            raise _worded(error.failure, self.caller) from error
        if isinstance(begun, Answer):
            return begun
        self._journaled = True
        self.services.journal.begun(self.story)
        try:
            return await self._inside(begun, attempt)
        except DatabaseError as error:
            raise Restart(error.failure) if error.failure.code in _ANEW else _worded(error.failure, self.caller) from error
        finally:
            await begun.rollback()

    def over(self, error: DialectError) -> DialectError:
        """It did not land: that is told, and its caller learns under which id. Nothing is where it never began (the same
        Idempotency-Key is someone else's, or in flight)."""
        if not self._journaled:
            return error
        self.services.journal.ended(self.story.record(ended_by(error), error))
        return DialectError(error.code, error.status, error.message, error.details, error.hint, (*error.headers, (ID, self.story.id)))

    def broke(self) -> None:
        """The caller hung up, or we broke: the target holds its record if it landed."""
        if self._journaled:
            self.services.journal.ended(self.story.record(UNKNOWN))

    async def _begin(self) -> Transaction | Answer:
        self._has_ours = await self.services.has_our_schema()  # while we hold no connection
        prelude = prelude_of(self.caller, self.root, self.envelope.headers)
        if self.claim is None:
            return await Transaction.begin(self.services.pool, f"{self.asked.begin};{prelude.text}", self.caller.turn)
        return await idempotency.begin_once(self.services.pool, self.claim, prelude, self.caller.turn, self.asked.begin)

    async def _inside(self, transaction: Transaction, attempt: int) -> Answer:
        shared = Shared(transaction, self.story.id)
        results: list[Done | DialectError] = []
        given: dict[str, list[Row] | None] = {}
        for number, operation in enumerate(self.asked.operations):
            result = await self._operation(shared, number, operation, given)
            results.append(result)
            if operation.name is not None:
                given[operation.name] = rows_of(result.answer.body) if isinstance(result, Done) else None
        answer = _answer(shared, self.asked, results, attempt, self.story.id)
        await self._commit(shared, answer)
        self._tell(results)
        return answer

    async def _operation(
        self, shared: Shared, number: int, operation: Operation, given: Mapping[str, list[Row] | None]
    ) -> Done | DialectError:
        before = len(shared.receipts)
        try:
            done = await self._landed(shared, operation, given)
            self.story.landed(number, done.seconds, done.member.affected, _said(done))
            return done
        except (Failed, NotGiven, DialectError) as trouble:
            error = trouble if isinstance(trouble, DialectError) else getattr(trouble, "error", None) or _not_given(trouble)
            del shared.receipts[before:]
            undone = operation.savepoint and shared.outer.is_open
            self.story.stumbled(number, error, undone)
            if undone:
                return error
            raise _placed(error, place(number, operation)) from trouble

    async def _landed(self, shared: Shared, operation: Operation, given: Mapping[str, list[Row] | None]) -> Done:
        began = perf_counter()
        columns = self.needed.get(operation.name or "", ())
        found = translate(operation, given, columns, self.envelope.headers, self.services.settings.exposed_schemas)
        member = self._member(found.request, found.envelope).join(shared)
        try:
            result = await adrive(heal(member.statement, member.context(), None), member.perform)
        except BaseException:
            await member.undo()
            raise
        if isinstance(result, Landed):
            assert member.answer is not None
            return Done(member, member.answer, result, perf_counter() - began)
        assert isinstance(result, Kept | Refused)
        if result.failure.code in _ANEW:
            raise Restart(result.failure)
        likely = probably(member, proposals_for(member, result)) if isinstance(result, Kept) else ""
        raise Failed(member.error_of(result.failure), likely)

    def _member(self, request: Request, envelope: Envelope) -> Member:
        policy = self.services.state.policy(request.schema, request.name, self.caller.key)
        payload = payload_of(self.services, request, envelope)
        statement = statement_of(request, payload)
        level = level_of(policy, request)
        return Member(self.services, request, self.caller, payload, statement, level, policy.strict, None, envelope.headers, False)

    async def _commit(self, shared: Shared, answer: Answer) -> None:
        record = self.story.record(COMMITTED)
        before = await self._receipts(shared, receipts.encode(record))
        if self.claim is not None:
            before += self.claim.record_sql(answer)
        try:
            await shared.outer.commit(before, shared.xid)
        except DatabaseError as error:
            raise await self._without_ours(idempotency.lost_race(error)) from error
        self.services.journal.ended(record)

    async def _without_ours(self, error: DatabaseError) -> DatabaseError:
        """Where our schema went away since it was looked for, a transaction begins anew without it."""
        if error.failure.code in _GONE:
            self.services.forget_our_schema()
            if not await self.services.has_our_schema():
                return DatabaseError(Failure("40001", error.failure.message))
        return error

    async def _receipts(self, shared: Shared, record: bytes) -> str:
        if self._has_ours:
            return receipts.bundle_sql(shared.bundle, shared.receipts, record)
        for number, receipt in enumerate(shared.receipts):
            await kept.write_receipt(self.services.control, receipts.numbered(shared.bundle, number), receipt)
        return ""

    def _tell(self, results: list[Done | DialectError]) -> None:
        """Each operation is a write to the metrics, and traffic to the schema monitor."""
        for result in results:
            if isinstance(result, Done):
                member, applied = result.member, result.landed.applied
                member.count_traffic(applied)
                watch.answered(member.request, self.caller, result.answer.of(member.deed(applied)), result.seconds)


_ANEW = frozenset({"40001", "40P01", "57P01", "57P02", "57P03", "08006", "08003", "08007"})
"""Errors outside of an operation after which all of it is tried again: nothing was committed."""
_GONE = frozenset({"3F000", "42P01", "42501"})
"""What a commit says whose record has no place any more."""


def _root(headers: Mapping[str, str], exposed: tuple[str, ...]) -> Request:
    """What functions of the database are told of the request."""
    kept = {name: headers[name] for name in ("content-profile", "prefer") if name in headers}
    root = parse("POST", "/transactions", b"", kept, exposed)
    if root.preferences.tx == "rollback":
        raise wishes.refusal("Prefer: tx=rollback has no meaning for a transaction, so nothing was written", "Send it without.")
    return root


def _answer(shared: Shared, asked: wishes.Transaction, results: list[Done | DialectError], attempt: int, number: str) -> Answer:
    shown = [_shown(operation, result) for operation, result in zip(asked.operations, results, strict=True)]
    first = receipts.numbered(shared.bundle, 0) if shared.receipts else None
    healed = ", ".join(dict.fromkeys(each["healed"] for each in shown if "healed" in each))
    headers = [("Mendgate-Receipt", first)] * (first is not None) + [("Mendgate-Healed", healed[:900])] * bool(healed)
    body = receipts.encode({"operations": shown, "receipt": first, "attempts": attempt, "transaction": number})
    return Answer(200, [answers.JSON, *[(name, str(value)) for name, value in headers], (ID, number)], body)


def _shown(operation: Operation, result: Done | DialectError) -> dict[str, Any]:
    if isinstance(result, DialectError):
        error = {"code": result.code, "message": result.message, "details": result.details, "hint": result.hint}
        return {"status": result.status, "rows": [], "count": 0, "error": error}
    rows = rows_of(result.answer.body)
    return {"status": result.answer.status, "rows": rows, "count": result.member.affected, **_said(result)}


def _said(done: Done) -> dict[str, str]:
    """What a single write would say in its headers."""
    return {name.removeprefix("Mendgate-").lower(): value for name, value in done.answer.headers if name.startswith("Mendgate-")}


def _placed(error: DialectError, where: str) -> DialectError:
    details = f"{where}: {error.details}" if isinstance(error.details, str) else where
    hint = f"{error.hint.rstrip('.')}. Nothing of the transaction was written." if error.hint else "Nothing of the transaction was written."
    return DialectError(error.code, error.status, error.message, details, hint, error.headers)


def _not_given(trouble: Exception) -> DialectError:
    return DialectError("MG400", 400, f"A reference cannot be followed: {trouble}", None, "Refer to a row and column that come back.")


_OURS = {"MG503": 503, "MG504": 504}


def _worded(failure: Failure, caller: Caller) -> DialectError:
    if failure.code in _OURS:
        retry = (("Retry-After", "1"),) if failure.code == "MG503" else ()
        return DialectError(failure.code, _OURS[failure.code], failure.message, failure.details, failure.hint, retry)
    return from_failure(failure, authenticated=caller.role != "anon")
