"""A worker's batch of kept writes: in the order given, and those in a row that are alike in one transaction.

Alike are plain inserts of one role, with the same claims, into the same table, of the same shape: what a lane of live writes would share.
Each keeps its own outcome: its record under its own key is written by that transaction, so is its receipt; where the transaction fails
that may be one write's fault, and it is taken apart in halves until the culprit stands alone and goes the way of a single write.
What failed before goes alone from the start. After one that found the target away, and once the time is over, nothing is begun.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator, Sequence

import asyncpg
from msgspec import Struct

from healing.gateway import receipts, watch
from healing.gateway.answer import Answer
from healing.gateway.attempt import Attempt, healing_headers, statement_of
from healing.gateway.batch import begin, xid_of
from healing.gateway.coalesce import MOST_BYTES, Item, NotMeant, Stale, share_out
from healing.gateway.errors import DialectError
from healing.gateway.idempotency import records_sql
from healing.gateway.lane import Load, answer_of, careful, fits
from healing.gateway.newer import MARK
from healing.gateway.replay import DATABASES, Opened, ReplayResult, broken, is_away, open_items, replay_opened
from healing.gateway.services import Services
from healing.gateway.settings import current
from healing.gateway.settled import values_of
from healing.gateway.target import DatabaseError
from healing.gateway.wire_messages import Step
from healing.gateway.write import level_of, payload_of

log = logging.getLogger("mendgate.replay")

MOST_TOGETHER = 100
"""writes of one transaction: its locks are held as long as a few live writes take."""
LOOK_EVERY = 2.0
"""seconds"""
_AWAY = ("08", "53", "57P", "MG5", "PGRST00")
_OUT_OF_TIME = "57014"
_ANSWERED = """
SELECT i.caller, i.key FROM mendgate.idempotency i JOIN unnest($1::text[], $2::text[]) AS asked(caller, key) USING (caller, key)"""
UNTRIED = ReplayResult("untried", 503)


class Alike(Struct, frozen=True):
    """A write that may share a transaction, ready for it."""

    opened: Opened
    load: Load
    item: Item
    answer: Answer
    """as it is given, but for the receipt's id and the rows."""


class Replayer:
    """Replays batch after batch with services of its own. What changed since the last batch is read before the next; where one broke,
    the next begins with new services."""

    def __init__(self) -> None:
        self._services: Services | None = None
        self._looked = 0.0

    async def replay(self, ids: list[str], seconds: float) -> list[ReplayResult]:
        """Items in the order given; what was not begun after so long is ``untried``."""
        until = time.monotonic() + seconds
        try:
            batch = _Batch(await self._ready(), lambda: time.monotonic() < until)
            return await batch.replay(ids)
        except BaseException:
            await self.close()
            raise

    async def close(self) -> None:
        """Hangs up at the databases."""
        services, self._services = self._services, None
        if services is not None:
            await services.close()

    async def _ready(self) -> Services:
        if self._services is not None and not self._services.keeper.ready:
            await self.close()
        if self._services is None:
            self._services = Services(current())
            await self._services.open(background=False)
            self._looked = time.monotonic()
        else:
            await self._services.keeper.look()  # what was ordered may wait for a rule or a version of this very moment
            await self._look_into_log()
        return self._services

    async def _look_into_log(self) -> None:
        """The target's own log of changes, on a connection of its own: now and then. What it would have told in time is found in band."""
        if self._services is not None and time.monotonic() - self._looked > LOOK_EVERY:
            await self._services.follower.look_once()
            self._looked = time.monotonic()


class _Batch:
    """One batch under way: what became of each item so far."""

    def __init__(self, services: Services, in_time: Callable[[], bool]) -> None:
        self._services, self._in_time = services, in_time
        self._away = False
        self._results: dict[str, ReplayResult] = {}

    async def replay(self, ids: list[str]) -> list[ReplayResult]:
        """A result each. Never raises for what the databases say."""
        try:
            found = await open_items(self._services, ids)
            answered = await self._answered([opened for opened in found.values() if isinstance(opened, Opened)])
        except DATABASES as error:
            return [broken("unavailable", str(error)), *[UNTRIED] * (len(ids) - 1)]
        known = [found.get(pk) or broken("failed", f"There is no quarantined write {pk}") for pk in ids]
        shared = await self._may_share()
        for group in _groups(known, lambda opened: _alike(self._services, opened) if shared and opened.id not in answered else None):
            await self._run(group)
        return [self._results.get(pk, UNTRIED) if isinstance(each, Opened) else each for pk, each in zip(ids, known, strict=True)]

    async def _may_share(self) -> bool:
        try:
            return await self._services.has_our_schema()
        except DatabaseError:
            return False  # each says so itself

    async def _answered(self, found: list[Opened]) -> set[str]:
        """Those that were carried out before, by a worker that did not live to tell."""
        claims = {(opened.claim.caller, opened.claim.key): opened.id for opened in found}
        async with self._services.pool.connection() as connection:
            try:
                records = await connection.fetch(_ANSWERED, [caller for caller, _ in claims], [key for _, key in claims])
            except asyncpg.UndefinedTableError:
                return set()
        return {claims[record["caller"], record["key"]] for record in records}

    async def _run(self, group: Sequence[Alike] | Opened) -> None:
        if self._away or not self._in_time():
            return
        if isinstance(group, Opened):
            await self._alone(group)
            return
        try:
            answers = await _land(self._services, group)
        except (DatabaseError, NotMeant) as error:
            await self._apart(group, error)
            return
        for alike, answer in zip(group, answers, strict=True):
            watch.replayed("landed", answer.deed)
            self._results[alike.opened.id] = ReplayResult("replayed", answer.status, alike.item.receipt_id)

    async def _alone(self, opened: Opened) -> None:
        result = self._results[opened.id] = await replay_opened(self._services, opened)
        self._away = is_away(result)

    async def _apart(self, group: Sequence[Alike], error: DatabaseError | NotMeant) -> None:
        """What may be one write's fault, in halves; what is none's, on the way that knows to wait and try again."""
        code = error.failure.code if isinstance(error, DatabaseError) else ""
        if len(group) == 1 or code == _OUT_OF_TIME or code.startswith(_AWAY) or isinstance(error, Stale):
            await self._alone(group[0].opened)  # whatever the time: else it would come again and again
            for alike in group[1:]:
                await self._run(alike.opened)
            return
        middle = len(group) // 2
        for half in (group[:middle], group[middle:]):
            await self._run(half)


def _groups(found: Sequence[Opened | ReplayResult], alike_of: Callable[[Opened], Alike | None]) -> Iterator[Sequence[Alike] | Opened]:
    """The writes in their order: those in a row that are alike together, the others each alone."""
    group: list[Alike] = []
    size = 0
    for opened in found:
        if isinstance(opened, ReplayResult):
            continue
        alike = alike_of(opened)
        size += 0 if alike is None else len(alike.item.rows)
        if group and (alike is None or size > MOST_BYTES or not _goes_with(alike, group)):
            yield group
            group, size = [], 0 if alike is None else len(alike.item.rows)
        if alike is None:
            yield opened
        else:
            group.append(alike)
    if group:
        yield group


def _goes_with(alike: Alike, group: Sequence[Alike]) -> bool:
    return len(group) < MOST_TOGETHER and alike.load.plan.lane == group[0].load.plan.lane


def _alike(services: Services, opened: Opened) -> Alike | None:
    """A write as one that may share; None where it goes alone: it failed before, is no plain insert, or needs more than exact fixes.
    A fault here is for the single way to tell."""
    if opened.attempts or opened.horizon or opened.assisted is not None:
        return None
    try:
        attempt = _attempt(services, opened)
        load = careful(attempt) if fits(attempt.request, attempt.payload) else None
    except (DialectError, ValueError):
        return None
    if load is None:
        return None
    receipt = receipts.make(
        "replayed", attempt.statement, load.plan.relation.name, attempt.caller,
        applied=load.applied, changes=load.changes, stored=load.rows,
    )  # fmt: skip
    item = Item(load.text, len(load.rows), receipt)
    if load.plan.touched:
        item.meant, item.accept = (
            values_of(load.rows, load.plan.touched),
            lambda meant, stored: load.plan.as_meant(meant, stored, load.changes),
        )
    headers = healing_headers(tuple(a.fix for a in load.applied), load.changes)
    return Alike(opened, load, item, load.plan.answer.plus(*headers).of(attempt.deed(load.applied)))


def _attempt(services: Services, opened: Opened) -> Attempt:
    request, caller = opened.request, opened.caller
    payload = payload_of(services, request, opened.envelope)
    policy = services.state.policy(request.schema, request.name, caller.key)
    return Attempt(
        services, request, caller, payload, statement_of(request, payload), level_of(policy, request), policy.strict,
        opened.claim, opened.envelope.headers, policy.allow_tx_rollback, "replayed",
    )  # fmt: skip


async def _land(services: Services, group: Sequence[Alike]) -> list[Answer]:
    """Rows, receipts and records of the group in one transaction. Raises ``DatabaseError`` or ``NotMeant``: then there is nothing of it."""
    lane, items = group[0].load.plan.lane, [alike.item for alike in group]
    bundle = receipts.bundle_id()
    due = receipts.bundle_steps(bundle, [item.receipt for item in items if item.receipt is not None])
    step = Step(lane.sql, (b"[%b]" % b",".join([item.rows for item in items]),))
    batch = await begin(services.pool, (*due, lane.prelude.step), step)
    try:
        shares = share_out(batch.rows, items, lane.by_row)
        for item, receipt_id in zip(items, receipts.ids_of(bundle, len(items)), strict=True):
            item.receipt_id = receipt_id
        answers = [
            answer_of(alike.load.plan, alike.answer, alike.item, share).plus(MARK) for alike, share in zip(group, shares, strict=True)
        ]
        told = records_sql([(alike.opened.claim, answer) for alike, answer in zip(group, answers, strict=True)])
    except BaseException:
        await batch.rollback()
        raise
    await batch.commit(told, xid_of(batch.rows))
    return answers
