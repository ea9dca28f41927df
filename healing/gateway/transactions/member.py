"""One operation inside a transaction: the attempt of a single write, in a savepoint instead of a transaction of its own."""

from __future__ import annotations

from typing import Any

import asyncpg

from healing.core.heal import Answer as CoreAnswer
from healing.core.heal import Landed, Pause, Run, Step
from healing.core.types import Failure
from healing.gateway import image, receipts
from healing.gateway.attempt import Attempt
from healing.gateway.target import DatabaseError, Transaction


class Restart(Exception):
    """The whole transaction must begin anew: a serialization failure, a deadlock, a lost connection, a statement that ran out of time."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure.code)
        self.failure = failure


class Savepoint:
    """As a ``Transaction`` to whoever writes in it."""

    def __init__(self, outer: Transaction) -> None:
        self._outer, self._over = outer, False

    @classmethod
    async def begin(cls, outer: Transaction) -> Savepoint:
        """Sets it."""
        await outer.execute("SAVEPOINT operation")
        return cls(outer)

    async def fetchrow(self, sql: str, *arguments: Any) -> asyncpg.Record | None:
        """The first record. An error undoes what was done since the savepoint. Raises ``DatabaseError``."""
        try:
            return await self._outer.try_fetchrow(sql, *arguments)
        except DatabaseError:
            await self.rollback()
            raise

    async def commit(self, before: str = "", xid: str | None = None) -> None:
        """Keeps it, for the outer transaction to commit."""
        self._over = True
        await self._outer.execute("RELEASE SAVEPOINT operation")

    async def rollback(self) -> None:
        """Undoes it."""
        if not self._over and self._outer.is_open:
            self._over = True
            await self._outer.execute("ROLLBACK TO SAVEPOINT operation;RELEASE SAVEPOINT operation")


class Shared:
    """What the operations of one transaction have in common."""

    def __init__(self, outer: Transaction, bundle: str) -> None:
        self.outer, self.bundle = outer, bundle
        self.receipts: list[receipts.Receipt] = []
        self.xid: str | None = None


class Member(Attempt):
    """``join`` it to a transaction before it is driven."""

    has_its_own_transaction = False
    shared: Shared
    _last: Failure | None = None

    def join(self, shared: Shared) -> Member:
        """Where it writes."""
        self.shared = shared
        return self

    async def perform(self, step: Step) -> CoreAnswer:
        """A pause means: try again. Inside a transaction that is for the whole of it."""
        if isinstance(step, Pause):
            raise Restart(self._last or Failure("40001", "The transaction has to begin anew."))
        answer = await super().perform(step)
        if isinstance(step, Run) and isinstance(answer, Failure):
            self._last = answer
        return answer

    async def _begin(self) -> Transaction:
        return await Savepoint.begin(self.shared.outer)  # type: ignore[return-value]

    def _numbered(self, receipt: receipts.Receipt | None) -> None:
        if receipt is not None:
            self.receipt = receipts.numbered(self.shared.bundle, len(self.shared.receipts))

    def _receipt(self, landed: Landed, name_fixes: Any) -> receipts.Receipt | None:
        receipt = super()._receipt(landed, name_fixes)
        self._numbered(receipt)
        return receipt

    async def _before_commit(self, receipt: receipts.Receipt | None) -> str:
        if receipt is not None:
            self.shared.receipts.append(await self._by_its_writer(receipt))
        self.shared.xid = self._outcome.xid or self.shared.xid
        return ""

    async def _by_its_writer(self, receipt: receipts.Receipt) -> receipts.Receipt:
        """A savepoint's rows have a writer of their own; an undo must know it."""
        rows = self._outcome.back
        query = image.last_writer(self.relation, rows)
        if query is None:
            return receipt
        record = await self._may_see(query.sql, receipts.encode(rows).decode())
        if record is None:
            return receipt
        return receipts.Receipt(receipt.head, receipt.values[:-1] + b',"writer":"%b"}' % record["writer"].encode())

    async def _may_see(self, sql: str, rows: str) -> asyncpg.Record | None:
        """What the caller may not read (with rights to some columns only) is left out, and the write goes on."""
        outer = self.shared.outer
        await outer.execute("SAVEPOINT looking")
        try:
            return await outer.try_fetchrow(sql, rows)
        except DatabaseError:
            if not outer.is_open:
                raise
            await outer.execute("ROLLBACK TO SAVEPOINT looking")
            return None
