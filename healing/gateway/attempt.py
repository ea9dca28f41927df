"""Carries out the steps that the healing core asks for, for one write: the shell of ``healing.core.heal``.

Run     -> begin (idempotency, then role and claims), plan, execute, checks that must hold before a commit
Commit  -> receipt and idempotency record in the same transaction
Reread  -> the relation's catalog entry again
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import chain
from typing import Any

from msgspec.structs import replace

from healing.core import fixes
from healing.core.heal import STALE, Commit, Landed, Landing, Pause, Reread, Run, Step, Undo
from healing.core.heal import Answer as CoreAnswer
from healing.core.mend import Applied, Context, may_use_rules
from healing.core.types import Change, Failure, Healing, Operation, Statement
from healing.gateway import at_once, idempotency, image, kept, receipts
from healing.gateway.answer import Answer, Deed
from healing.gateway.assisted import Assisted
from healing.gateway.auth import Caller
from healing.gateway.batch import Batch
from healing.gateway.certified import Sure
from healing.gateway.errors import DialectError, from_failure
from healing.gateway.idempotency import Claim
from healing.gateway.names import Names
from healing.gateway.outcome import Outcome
from healing.gateway.payload import Payload
from healing.gateway.plan_write import plan_delete, plan_insert, plan_update
from healing.gateway.ragged import groups_of
from healing.gateway.request import Request
from healing.gateway.request_prelude import prelude_of
from healing.gateway.response import check_write, render_write
from healing.gateway.services import Services
from healing.gateway.settled import Place
from healing.gateway.sqltext import Query
from healing.gateway.target import DatabaseError, Transaction
from schema_monitor.core.snapshot import Relation

log = logging.getLogger("mendgate.write")


def statement_of(request: Request, payload: Payload) -> Statement:
    """The write as the healing core sees it."""
    return Statement(
        operation_of(request),
        request.schema,
        request.name,
        payload.rows,
        request.columns,
        request.on_conflict or (),
        request.preferences.missing_default,
    )


def operation_of(request: Request) -> Operation:
    """What the request does to its table."""
    match request.method:
        case "PATCH":
            return Operation.UPDATE
        case "DELETE":
            return Operation.DELETE
        case "PUT":
            return Operation.UPSERT
    return Operation.UPSERT if request.preferences.resolution else Operation.INSERT


class Stored(Exception):
    """This request was answered before: here is that answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__("answered before")
        self.answer = answer


class Attempt:
    """One write under way. ``answer`` is set once it is committed."""

    has_its_own_transaction = True
    """Which begins when its statement is sent."""

    def __init__(
        self,
        services: Services,
        request: Request,
        caller: Caller,
        payload: Payload,
        statement: Statement,
        level: Healing,
        strict: bool,
        claim: Claim | None,
        headers: Mapping[str, str],
        may_roll_back: bool,
        outcome: str = "committed",
        assisted: Assisted | Sure | None = None,
    ) -> None:
        self._outcome_word = outcome
        self.services, self.request, self.caller = services, request, caller
        self.payload, self.statement, self.claim = payload, statement, claim
        self.level, self.strict, self.may_roll_back = level, strict, may_roll_back
        self.headers = headers
        self.assisted = assisted
        self._names: Names | None = None
        self.relation: Relation | None = None
        self.table_fix: Applied | None = None
        self.errors: dict[Failure, DialectError] = {}
        self.answer: Answer | None = None
        self.receipt = ""
        self._transaction: Transaction | Batch | None = None
        self._outcome = Outcome()
        self._asked: Mapping[str, str] = {}
        self._has_ours = False
        """Whether the target has our schema, for the receipt."""

    @property
    def names(self) -> Names:
        """What the request's names mean; made when it is asked for, since a settled shape never asks."""
        if self._names is None:
            state = self.services.state
            self._names = Names(state.snapshot, state.lineage, follow=self.level is not Healing.OFF)
        return self._names

    def with_fix(self, sure: Sure) -> Attempt:
        """The same write once more, with a fix that applies itself."""
        return Attempt(
            self.services,
            self.request,
            self.caller,
            self.payload,
            self.statement,
            self.level,
            self.strict,
            self.claim,
            self.headers,
            self.may_roll_back,
            self._outcome_word,
            sure,
        )

    def find_relation(self) -> Relation | None:
        """The live relation the request means; None where the name is unknown."""
        self._names, self.table_fix = None, None
        self.relation = self.names.find_relation(self.request.schema, self.request.name)
        if self.relation is None and may_use_rules(self.level):
            self._find_by_rule()
        return self.relation

    def _find_by_rule(self) -> None:
        """An approved rule may say what an unknown table is called."""
        operation = str(self.statement.operation)
        for rule in self.services.state.table_rules(self.request.schema, self.request.name, operation, self.caller.identity):
            match fixes.parse(list(rule.fix)):
                case (fixes.RenameTable(source, target) as fix,) if source == self.request.name:
                    found = self.names.find_relation(self.request.schema, target)
                    if found is not None and rule.binds(found):
                        self.relation, self.table_fix = found, Applied(fix, rule.source, rule.id)

    def context(self) -> Context:
        """A fresh context for the healing core."""
        operation = str(self.statement.operation)
        relation = self.find_relation()
        moved = relation is not None and relation.name != self.request.name
        known = self.services.context(relation, operation, self.level, self.strict, self.caller, moved)
        return known if self.assisted is None else self.assisted.added_to(known)

    async def perform(self, step: Step) -> CoreAnswer:
        """Carries out one step."""
        match step:
            case Run():
                return await self._run(step)
            case Commit():
                return await self._commit(step.landed)
            case Reread():
                return await self._reread() or self.context()
            case Pause():
                await asyncio.sleep(random.uniform(0.5, 1.5) * 0.02 * 4**step.attempt)  # noqa: S311 - jitter
            case Undo():
                await self.undo()
        return None

    async def _reread(self) -> Failure | None:
        """None once it was read; else why not."""
        try:
            holds_one = not self.has_its_own_transaction
            await self.services.reread(self.request.schema, self.request.name, self.relation, holds_one=holds_one)
        except DatabaseError as error:
            log.warning("could not read %s again: %s", self.request.name, error)
            return error.failure
        return None

    async def undo(self) -> None:
        """Rolls back what is open, if anything is."""
        if self._transaction is not None:
            transaction, self._transaction = self._transaction, None
            await transaction.rollback()

    def count_traffic(self, applied: Sequence[Applied] = (), *, misfit: bool = False, named: tuple[str, ...] | None = None) -> None:
        """Counts the request by its shape, once its outcome is known; a replay was counted when it came. ``named``: the names it used
        beside its keys, where they are known already."""
        if self.relation is None or self._outcome_word == "replayed":
            return
        rows, operation = self.payload.rows, str(self.statement.operation)
        keys = tuple(rows[0]) if len(rows) == 1 else tuple(dict.fromkeys(chain.from_iterable(rows)))
        named = self.names.named(self.relation) if named is None else named
        traffic = self.services.traffic
        traffic.wrote(
            self.relation, self.request.name, operation, self.caller, keys, len(rows), named=named, applied=applied, misfit=misfit
        )

    def place(self, named: tuple[str, ...]) -> Place:
        """Where traffic counts inserts of rows with the keys of the first one."""
        relation, caller = self.relation, self.caller
        assert relation is not None
        keys, operation = tuple(self.payload.rows[0]), str(self.statement.operation)
        return relation.oid, relation.fingerprint, self.request.name, operation, caller.key, caller.role, keys, named

    def deed(self, applied: Sequence[Applied] = ()) -> Deed:
        """What was done, for the metrics. A name that no relation has is not told: callers make them up."""
        table = f"{self.relation.schema}.{self.relation.name}" if self.relation is not None else ""
        heals = tuple({(str(each.fix.__struct_config__.tag), each.found_by): None for each in applied})
        return Deed(table, str(self.statement.operation), max(1, len(self.payload.rows)), heals)

    # --- Run

    async def _run(self, step: Run) -> CoreAnswer:
        self._outcome, self._asked = Outcome(), step.asked
        try:
            plans = self._plans(step)
        except DialectError as error:
            if error.code == "MG001":
                raise
            return self._failure(error)
        try:
            await self._execute_all(plans, step)
            if not self.request.orders:
                self._outcome.put_in_order()
            check_write(self.request, self._outcome.affected)
        except DatabaseError as error:
            self._transaction = None
            return error.failure
        except BaseException:
            await self.undo()
            raise
        back = self._outcome.back
        return Landing(self._outcome.affected, None if back is None else tuple(back))

    async def _execute_all(self, plans: list[tuple[Query, list[int]]], step: Run) -> None:
        """Opens the transaction and runs the statements in it; where there is but one, in one go. Our schema is looked for before:
        who has a connection and waits for one more keeps it from others who do the same."""
        if self.has_its_own_transaction:
            self._has_ours = await self.services.has_our_schema()
        look = self._look(step)
        if look is None and len(plans) == 1 and self.has_its_own_transaction:
            plan, indexes = plans[0]
            prelude = prelude_of(self.caller, self.request, self.headers)
            begun = await at_once.begun(self.services.pool, prelude, plan, self.caller.turn, self.claim)
            if isinstance(begun, Answer):
                raise Stored(begun)
            self._transaction = begun
            await self._note(at_once.written(begun.rows[0]), indexes, step)
            return
        self._transaction = await self._begin()
        if look is not None:
            await self._look_before(look, step)
        for plan, indexes in plans:
            await self._note(await self._executed(plan), indexes, step)

    async def _begin(self) -> Transaction:
        """Opens the transaction; with an Idempotency-Key asks first, as ourselves, whether it was answered."""
        prelude = prelude_of(self.caller, self.request, self.headers)
        if self.claim is None:
            return await Transaction.begin(self.services.pool, f"BEGIN;{prelude.text}", self.caller.turn)
        begun = await idempotency.begin_once(self.services.pool, self.claim, prelude, self.caller.turn)
        if isinstance(begun, Answer):
            raise Stored(begun)
        return begun

    async def answered_before(self) -> Answer | None:
        """The answer stored under our key, for a write that was turned away before it came to ask. Raises 409 or 422."""
        assert self.claim is not None
        try:
            transaction = await Transaction.begin(self.services.pool, "BEGIN", self.caller.turn)
        except DatabaseError:
            return None
        try:
            return await idempotency.find_answer(transaction, self.claim)
        finally:
            await transaction.rollback()

    def _plans(self, step: Run) -> list[tuple[Query, list[int]]]:
        """The statements to run, and which payload rows each one writes."""
        self.find_relation()
        relation = self.relation
        if relation is None:
            text = f"Could not find the table '{self.request.schema}.{self.request.name}' in the schema cache"
            raise DialectError("PGRST205", 404, text)
        statement, request = step.statement, self.request
        back = image.with_key(step.back, relation) or None
        if statement.operation is Operation.DELETE:
            plan = plan_delete(request, relation, self.names, asked=step.asked, back=back)
            self._check_reused(relation)
            return [(plan, [])]
        if statement.operation is Operation.UPDATE:
            keys = tuple(statement.columns or statement.rows[0])
            self._check_keys(keys, relation)
            plan = plan_update(request, relation, keys, self.names, asked=step.asked, back=back)
            self._check_reused(relation)
            return [(with_rows(plan, self._text(statement, [0])), [0])]
        groups = groups_of(request, statement, relation, self.level)
        for _, keys, _rows in groups:
            self._check_keys(keys, relation)
        return [
            (with_rows(plan_insert(req, relation, keys, self.names, asked=step.asked, back=back), self._text(statement, rows)), rows)
            for req, keys, rows in groups
        ]

    def _check_reused(self, relation: Relation) -> None:
        """A write must not choose its rows by a name that meant another column before, unless a person settled it."""
        if not self.names.reused:
            return
        settled = {
            rule.signature
            for rule in self.services.state.rules_for(relation, str(self.statement.operation), self.caller.identity)
            if any(op.get("op") == "keep_name" for op in rule.fix)
        }
        for _table, column in self.names.reused:
            if f"reused_name:{column}" not in settled:
                text = f"The name '{column}' of '{relation.name}' meant another column before; as a filter of a write it is not certain"
                raise DialectError("MG001", 400, text, None, "Use today's names, or let a person decide which column is meant.")

    def _check_keys(self, keys: tuple[str, ...], relation: Relation) -> None:
        for key in keys:
            if relation.column(key) is None:
                text = f"Could not find the '{key}' column of '{relation.name}' in the schema cache"
                raise DialectError("PGRST204", 400, text, None, self.names.hint(relation, key))

    def _text(self, statement: Statement, rows: list[int]) -> str:
        """The JSON array of some rows: the caller's own bytes where nothing was healed."""
        if statement.rows is self.payload.rows and len(rows) == len(self.payload.rows):
            return "[" + self.payload.inner.decode() + "]"
        return receipts.encode([statement.rows[i] for i in rows]).decode()

    def _look(self, step: Run) -> tuple[Query, bool] | None:
        """What shows the rows as they are before a healed write changes them, and whether it tells who wrote them last; None where that is
        not asked for."""
        assert self.relation is not None
        writers = self._place not in self.services.narrow
        query = image.image_of(self.request, step.statement, self.relation, self.names, step.asked, step.back, writers=writers)
        if query is None:
            return None
        if query.params[:1] == (None,):
            query = with_rows(query, self._text(step.statement, list(range(len(step.statement.rows)))))
        return query, writers

    @property
    def _place(self) -> tuple[int, str]:
        assert self.relation is not None
        return self.relation.oid, self.caller.role

    async def _look_before(self, look: tuple[Query, bool], step: Run) -> None:
        """Looks; a caller who may not read the rows is seen to by the core."""
        query, writers = look
        try:
            record = await self._executed(query)
        except DatabaseError as error:
            if not writers or error.failure.code != "42501":
                raise
            self.services.narrow.add(self._place)
            self._transaction = await self._begin()
            if (again := self._look(step)) is not None:
                await self._look_before(again, step)
            return
        rows = receipts.decode(record["rows"])
        self._outcome.writers = [row.pop("xmin") for row in rows] if writers else None
        self._outcome.before = rows

    async def _executed(self, query: Query) -> Mapping[str, Any]:
        assert self._transaction is not None and not isinstance(self._transaction, Batch)
        record: Mapping[str, Any] | None = await self._transaction.fetchrow(query.sql, *query.params)
        assert record is not None
        return record

    async def _note(self, record: Mapping[str, Any], indexes: list[int], step: Run) -> None:
        if not record["same"]:
            await self.undo()
            raise DatabaseError(STALE)
        self._outcome.add(record, indexes, bool(step.back))

    # --- Commit

    async def _commit(self, landed: Landed) -> CoreAnswer:
        assert self._transaction is not None
        name_fixes = self._name_fixes()
        receipt = self._receipt(landed, name_fixes)
        outcome = self._outcome
        undone = self.request.preferences.tx == "rollback" and self.may_roll_back
        self.answer = render_write(
            self.request,
            body=outcome.body,
            affected=outcome.affected,
            inserted=outcome.inserted,
            total=outcome.total,
            location=outcome.location,
            rolled_back=undone,
        ).plus(*self._headers_of(landed, name_fixes, receipt))
        if self._outcome_word == "replayed":
            self.answer = self.answer.plus(("Mendgate-Outcome", "replayed"))
        transaction, self._transaction = self._transaction, None
        if undone:
            await transaction.rollback()
            return None
        try:
            before = await self._before_commit(receipt)
        except BaseException as error:
            await transaction.rollback()
            if isinstance(error, DatabaseError):
                return error.failure
            raise
        try:
            await transaction.commit(before, outcome.xid)
        except DatabaseError as error:
            return idempotency.lost_race(error).failure
        return None

    async def _before_commit(self, receipt: receipts.Receipt | None) -> str:
        before = ""
        if receipt is not None:
            if self._has_ours:
                before += receipts.bundle_sql(self.receipt, [receipt])
            else:
                await kept.write_receipt(self.services.control, self.receipt, receipt)
        if self.claim is not None:
            assert self.answer is not None
            before += self.claim.record_sql(self.answer)
        return before

    def _name_fixes(self) -> tuple[fixes.Fix, ...]:
        """Names of the request (table, filters, select, on_conflict) that lineage resolved."""
        return tuple(dict.fromkeys(_name_fix(kind, old, new) for kind, old, new in self.names.healed))

    def _receipt(self, landed: Landed, name_fixes: tuple[fixes.Fix, ...]) -> receipts.Receipt | None:
        applied = self._applied(landed)
        if self.request.preferences.tx == "rollback" and self.may_roll_back:
            return None
        if not (applied or landed.changes or name_fixes or self._outcome_word == "replayed"):
            return None
        assert self.relation is not None
        self.receipt = receipts.bundle_id()
        stored, before = landed.stored or landed.statement.rows, self._outcome.before
        sound = image.sound(before, landed.stored, self.statement.operation, self.relation, self._outcome.inserted)
        return receipts.make(
            self._outcome_word,
            self.statement,
            self.relation.name,
            self.caller,
            applied=applied,
            name_fixes=name_fixes,
            changes=landed.changes,
            stored=stored,
            before=before if sound else None,
            writers=self._outcome.writers,
            verified=landed.verified,
            noted=self.assisted.noted if self.assisted else None,
        )

    def _applied(self, landed: Landed) -> tuple[Applied, ...]:
        return landed.applied if self.table_fix is None else (self.table_fix, *landed.applied)

    def _headers_of(self, landed: Landed, name_fixes: tuple[fixes.Fix, ...], receipt: receipts.Receipt | None) -> list[tuple[str, str]]:
        if receipt is None:
            return []
        healed = healing_headers((*name_fixes, *(a.fix for a in self._applied(landed))), landed.changes)
        return [("Mendgate-Receipt", self.receipt), *healed]

    # --- small

    @property
    def affected(self) -> int:
        """Rows that were written."""
        return self._outcome.affected

    def error_of(self, failure: Failure) -> DialectError:
        """The failure in the caller's dialect."""
        return self.errors[failure] if failure in self.errors else error_of(failure, self.caller)

    async def horizon(self) -> str:
        """For writes to existing rows: the transaction id from which on a change counts as newer than this write."""
        if self.statement.operation is Operation.INSERT:
            return ""
        try:
            async with self.services.pool.connection() as connection:
                return str(await connection.fetchval("SELECT pg_snapshot_xmax(pg_current_snapshot())::text"))
        except (DatabaseError, OSError):
            return ""

    def _failure(self, error: DialectError) -> Failure:
        failure = Failure(error.code, error.message, None, error.hint)
        self.errors[failure] = error
        return failure


def error_of(failure: Failure, caller: Caller) -> DialectError:
    """A failure of a write in its caller's dialect."""
    if failure.code in _OUR_STATUS:
        status = _OUR_STATUS[failure.code]
        headers = (("Retry-After", "1"),) if status == 503 else ()
        return DialectError(failure.code, status, failure.message, failure.details, failure.hint, headers)
    return from_failure(failure, authenticated=caller.role != "anon")


@lru_cache(maxsize=2048)
def _healed_text(applied: tuple[fixes.Fix, ...]) -> str:
    return fixes.header(tuple(dict.fromkeys(applied)))


def healing_headers(applied: tuple[fixes.Fix, ...], changes: tuple[Change, ...]) -> list[tuple[str, str]]:
    """The headers that tell a caller what was done to its write."""
    headers = []
    if applied:
        headers.append(("Mendgate-Healed", _healed_text(applied)))
    if changes:
        headers.append(("Mendgate-Changed", fixes.changes_header(changes)))
    return headers


def with_rows(plan: Query, text: str) -> Query:
    """A write plan with its first parameter, the JSON rows, filled in."""
    return replace(plan, params=(text, *plan.params[1:]))


_OUR_STATUS = {"PGRST204": 400, "PGRST205": 404, "MG001": 400, "MG002": 400, "MG003": 409, "MG503": 503, "MG504": 504}


def _name_fix(kind: str, old: str, new: str) -> fixes.Fix:
    if kind == "rename_table":
        return fixes.RenameTable(old, new)
    return fixes.RenameColumn(old, new) if kind == "rename_column" else fixes.MapValue("(filter)", old, new)
