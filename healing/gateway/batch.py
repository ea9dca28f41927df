"""One transaction of a lane: its opening and its one statement go to the database together, what came back is looked at, then it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from functools import partial

import asyncpg

from healing.gateway.target import CLEAN, LOST, NOT_STORED, DatabaseError, Pool, commit_text, failure_of, resolved
from healing.gateway.wire_messages import Record, Step

_CLEAN = tuple(CLEAN.strip(";").split(";"))
_BEGIN, _BEGIN_TO_READ = (*_CLEAN, "BEGIN"), (*_CLEAN, "BEGIN READ ONLY")
_LOCKED = "55P03"


XID = -2
"""Where a write's record tells its transaction."""


class TableLocked(DatabaseError):
    """Nothing was done in time: not a row is held, but all of a table."""


class Batch:
    """A transaction with ``rows``, what its statement returned. ``commit`` or ``rollback`` it, once."""

    def __init__(self, pool: Pool, connection: asyncpg.Connection, rows: list[Record]) -> None:
        self._pool, self._connection = pool, connection
        self.rows = rows

    async def commit(self, before: str = "", xid: str | None = None) -> None:
        """Commits, as ``Transaction.commit`` does. Raises ``DatabaseError``: then nothing was stored."""
        pool, connection = self._pool, self._connection
        try:
            await pool.wire(connection).say(commit_text(before))
        except BaseException as error:
            life = pool.life(connection)
            if isinstance(error, asyncpg.PostgresError) and not connection.is_closed():
                await _drop(pool, connection, error)
                raise DatabaseError(failure_of(error)) from error
            connection.terminate()
            await _drop(pool, connection, error)
            if not await resolved(pool, xid, life):
                raise DatabaseError(NOT_STORED) from error
            return
        pool.release(connection)

    async def ask(self, before: Sequence[Step], step: Step) -> None:
        """Runs more, in one go; ``rows`` are those of ``step`` then. Raises ``DatabaseError``: then it is over, rolled back."""
        try:
            self.rows = await self._pool.wire(self._connection).ask((), before, step)
        except BaseException as error:
            await _drop(self._pool, self._connection, error)
            _give_up(error, again=False)

    async def rollback(self) -> None:
        """Rolls back; never raises."""
        await _drop(self._pool, self._connection)


def xid_of(rows: Sequence[Record]) -> str | None:
    """The transaction in which a write returned these; None where it returned nothing."""
    xid = rows[0][XID] if rows else None
    return xid.decode() if xid is not None else None


async def begin(pool: Pool, before: Sequence[Step], step: Step, turn: str = "", *, to_read: bool = False) -> Batch:
    """A transaction in which ``step`` has run, after what goes ``before`` (role and claims at least). ``turn``: see ``Pool.acquire``;
    ``to_read``: it may not write. Raises ``DatabaseError``: then it is over."""
    for last in (False, True):
        connection = await pool.acquire(turn=turn)
        try:
            return Batch(pool, connection, await pool.wire(connection).ask(_BEGIN_TO_READ if to_read else _BEGIN, before, step))
        except BaseException as error:
            died = _had_died(pool, connection, error)
            await _drop(pool, connection, None if died and not last else error)
            _give_up(error, again=died and not last)
    raise AssertionError("unreachable")


async def read(pool: Pool, before: Sequence[Step], step: Step, turn: str = "") -> list[Record]:
    """What ``step`` returns in a transaction of its own, which ends without anybody waiting: what was found is sound whatever becomes of
    the COMMIT. Otherwise as ``begin``."""
    for last in (False, True):
        connection = await pool.acquire(turn=turn)
        try:
            return await pool.wire(connection).ask(_BEGIN_TO_READ, before, step, on_end=partial(_ended, pool, connection, last))
        except BaseException as error:
            _give_up(error, again=not last and _had_died(pool, connection, error))
    raise AssertionError("unreachable")


def _ended(pool: Pool, connection: asyncpg.Connection, last: bool, error: BaseException | None) -> None:
    """Nothing more comes of a read."""
    if error is not None and (last or not _had_died(pool, connection, error)):
        pool.judge(connection, error)
    pool.release(connection)


def _had_died(pool: Pool, connection: asyncpg.Connection, error: BaseException) -> bool:
    """Whether the connection broke before the server said that it does anything: an idle one may have died long ago. What was under way
    is not asked again, even though no COMMIT of it was sent: a sequence, a trigger that writes elsewhere, a statement that crashes."""
    broken = (connection.is_closed() or isinstance(error, LOST)) and not pool.wire(connection).has_answered
    return broken and not isinstance(error, TimeoutError | asyncio.CancelledError)


def is_at_no_row(error: BaseException | None) -> bool:
    """Whether an error of the database says nothing of where the statement was: waiting for a row it would name it."""
    return not getattr(error, "context", None)


def _give_up(error: BaseException, *, again: bool) -> None:
    if isinstance(error, asyncio.CancelledError):
        raise error
    if not again:
        kind = TableLocked if getattr(error, "sqlstate", None) == _LOCKED and is_at_no_row(error) else DatabaseError
        raise kind(failure_of(error)) from error


async def _drop(pool: Pool, connection: asyncpg.Connection, error: BaseException | None = None) -> None:
    """Gives the connection back with nothing done; ``error`` says something of the database."""
    if error is not None:
        pool.judge(connection, error)
    wire = pool.wire(connection)
    try:
        if isinstance(error, asyncio.CancelledError):
            connection.terminate()
        elif wire.is_open and not connection.is_closed():
            await wire.say("ROLLBACK")
    except Exception:
        connection.terminate()
    finally:
        pool.release(connection)
