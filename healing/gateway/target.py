"""Connections to the target database: a small bounded pool, and transactions that run as the caller.

Every transaction is ``BEGIN; SELECT set_config('role', …, true), set_config('request.jwt.claims', …, true)`` in one round trip, then the
statement, then ``COMMIT`` (with the receipt in the same round trip). Nothing is ever set for longer than the transaction.

An error of the database or of the connection becomes ``DatabaseError`` with a ``Failure``. A commit whose answer was cut off is
resolved by the transaction's id (``pg_xact_status``), so "unknown" never leaves this module while the database can be asked and did not
crash meanwhile: a crash loses ids that were not on disk yet, and the next transactions get them again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from weakref import WeakKeyDictionary

import asyncpg

from breakers.core.types import Outcome
from breakers.registry import Permit
from healing.core.types import Failure
from healing.gateway.target_gate import Gate, outcome_of
from healing.gateway.turns import Turns
from healing.gateway.wire import Wire
from schema_monitor import pooled

LOST = (asyncpg.InterfaceError, asyncpg.PostgresConnectionError, ConnectionError, OSError, asyncio.IncompleteReadError)
_STALE = (asyncpg.InvalidCachedStatementError, asyncpg.OutdatedSchemaCacheError)


GRACE = 5.0
"""Seconds after the statement's own limit in which the server should have said so; then the connection has fallen silent."""
MOST_RESOLVING = 20.0
_PATIENT_TRIES = 4
"""looks at a commit that was cut off, before what is left of it is ended: its COMMIT may still be on its way."""
DISK_FULL, FULL_SECONDS = "53100", 10.0
READ_ONLY, _ONLY_READS = "25006", "default_transaction_read_only"
_END_OF = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = session_user AND backend_xid = $1::text::xid8::xid"
_LIFE = "SELECT stats_reset FROM pg_stat_bgwriter"
"""When the server last began without knowing what was before: a crash forgets all statistics (a reset by hand looks the same, which is
harmless). Any login may ask."""

CLEAN = "RESET ALL;RESET ROLE;"
"""Undoes what a function of the target left on the session by ``set_config(…, false)``: the next caller shares the connection."""


NOT_STORED = Failure("08007", "The connection was lost while committing; nothing was stored.", hint="Send it again.")


def commit_text(before: str) -> str:
    """COMMIT after the statements ``before``, which run as ourselves; what the caller deferred is checked first, as the caller."""
    return f"SET CONSTRAINTS ALL IMMEDIATE;RESET ROLE;{before}COMMIT" if before else "COMMIT"


class DatabaseError(Exception):
    """The database, or the way to it, said no: see ``failure``."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(f"{failure.code}: {failure.message}")
        self.failure = failure


def quote_literal(text: str) -> str:
    """A string constant, sound whatever ``standard_conforming_strings`` is."""
    if "\0" in text:
        raise ValueError("no NUL in SQL text")
    quoted = text.replace("'", "''")
    return "E'" + quoted.replace("\\", "\\\\") + "'" if "\\" in text else f"'{quoted}'"


def quote_name(name: str) -> str:
    """A quoted identifier."""
    if "\0" in name:
        raise ValueError("no NUL in SQL text")
    return '"' + name.replace('"', '""') + '"'


def failure_of(error: BaseException) -> Failure:
    """A ``Failure`` from whatever asyncpg or the socket raised."""
    if isinstance(error, _STALE):
        return Failure("40001", "The schema changed while the statement was prepared.")
    if isinstance(error, TimeoutError):
        return Failure("PGRST003", "The database did not answer in time; nothing was written.", hint="Send it again.")
    if isinstance(error, asyncpg.PostgresError):
        return Failure(
            error.sqlstate or "XX000",
            str(error.args[0]) if error.args else "",
            getattr(error, "detail", None),
            getattr(error, "hint", None),
            getattr(error, "column_name", None),
            getattr(error, "constraint_name", None),
            getattr(error, "table_name", None),
            getattr(error, "schema_name", None),
        )
    if isinstance(error, asyncpg.DataError | ValueError | UnicodeEncodeError):
        return Failure("22P05", f"The request holds a value that cannot be sent to the database: {error}")
    return Failure("08006", "The connection to the database was lost.", str(error) or None)


class Pool:
    """At most ``size`` connections, opened when needed, kept open, handed out last in first out; one that comes back while somebody waits
    is theirs, callers in turn. Who waits longer than ``wait`` seconds gets a 53300 failure: back-pressure instead of a pile. With a
    ``gate`` nobody waits for a database that is known to be away."""

    def __init__(self, url: str, size: int, wait: float, statement_timeout: float, gate: Gate | None = None) -> None:
        self.url, self.size, self.wait = url, size, wait
        self._gate = gate
        self._permits: dict[asyncpg.Connection, Permit] = {}
        self._lives: WeakKeyDictionary[asyncpg.Connection, Any] = WeakKeyDictionary()
        self._wires: WeakKeyDictionary[asyncpg.Connection, Wire] = WeakKeyDictionary()
        self._timeout_ms = str(int(statement_timeout * 1000))
        self._limit = statement_timeout + min(GRACE, statement_timeout / 2)
        self._full_until = 0.0
        self._idle: list[asyncpg.Connection] = []
        self._open = 0
        self._waiting: Turns[asyncio.Future[asyncpg.Connection | None]] = Turns()
        self._closed = False

    @property
    def is_full(self) -> bool:
        """Whether the server said a moment ago that its disk is full."""
        return time.monotonic() < self._full_until

    @property
    def resolving(self) -> float:
        """Seconds in which the outcome of a commit that was cut off is looked for."""
        return min(MOST_RESOLVING, 4 * self._limit)

    @property
    def patience(self) -> float:
        """Seconds for what takes a server no time: the start and the end of a transaction."""
        return min(self.wait, self._limit)

    @property
    def has_free(self) -> bool:
        """Whether a connection could be had without waiting."""
        return not self._waiting and (bool(self._idle) or self._open < self.size)

    async def acquire(self, *, gated: bool = True, turn: str = "") -> asyncpg.Connection:
        """A connection in no transaction, for ``turn``: whose turn it is where many wait. Raises ``DatabaseError``. Not ``gated``: tried
        even where the database is known to be away."""
        if self._gate is None or not gated:
            return await self._take(turn)
        permit = await self._gate.enter()
        if isinstance(permit, Failure):
            raise DatabaseError(permit)
        try:
            connection = await self._take(turn)
        except BaseException as error:
            if permit is not None:
                hung_up = isinstance(error, asyncio.CancelledError)
                permit.settle(Outcome.EXCLUDED if hung_up else Outcome.FAILURE, error=str(error))
            raise
        if permit is not None:
            self._permits[connection] = permit
        return connection

    def judge(self, connection: asyncpg.Connection, error: BaseException) -> None:
        """Tells the gate what an error on a connection says of the database. Before ``release``."""
        if getattr(error, "sqlstate", None) == DISK_FULL:
            self._full_until = time.monotonic() + FULL_SECONDS
        if isinstance(error, TimeoutError):
            self._forget(connection)
        elif getattr(error, "sqlstate", None) == READ_ONLY and getattr(connection.get_settings(), _ONLY_READS, "off") == "on":
            connection.terminate()  # the session was opened while the server took no writes, and would never write again
        if (permit := self._permits.pop(connection, None)) is not None:
            permit.settle(outcome_of(error), error=f"{type(error).__name__}: {error}")

    def _forget(self, silent: asyncpg.Connection) -> None:
        """A connection fell silent: it is ended without a word, and those that are idle may be no better."""
        silent.terminate()
        while self._idle:
            self._idle.pop().terminate()
            self._open -= 1

    async def _take(self, turn: str) -> asyncpg.Connection:
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
            self._open -= 1
        if self._open < self.size:
            return await self._connect()
        given = await self._turn(turn)
        if given is not None and not given.is_closed():
            return given
        self._open -= 1
        return await self._connect()

    def release(self, connection: asyncpg.Connection) -> None:
        """Gives a connection back; a broken or still busy one is thrown away."""
        if (permit := self._permits.pop(connection, None)) is not None:
            permit.settle(Outcome.EXCLUDED if connection.is_closed() else Outcome.OK)
        if connection.is_closed() or self._is_busy(connection) or self._closed:
            self._open -= 1
            if not connection.is_closed():
                connection.terminate()
            self._pass_on(None)
        else:
            self._pass_on(connection)

    def _is_busy(self, connection: asyncpg.Connection) -> bool:
        """Whether something of who had it would be the next one's: a transaction, or the answer to a statement that was given up on."""
        cancelling = connection._protocol._is_cancelling()
        return bool(connection.is_in_transaction() or cancelling or self._wires[connection].is_open)

    def _pass_on(self, connection: asyncpg.Connection | None) -> None:
        """A connection, or the place of one that is gone, to whoever's turn it is."""
        while self._waiting:
            turn = self._waiting.take()
            if not turn.done():
                self._open += connection is None
                turn.set_result(connection)
                return
        if connection is not None:
            self._idle.append(connection)

    @asynccontextmanager
    async def connection(self, *, gated: bool = True) -> AsyncIterator[asyncpg.Connection]:
        """A connection for the length of a block, as ourselves; one that died while it was idle is replaced."""
        connection = await self._acquire_clean(gated)
        try:
            yield connection
        except LOST as error:
            self.judge(connection, error)
            raise
        finally:
            self.release(connection)

    async def _acquire_clean(self, gated: bool) -> asyncpg.Connection:
        failure = Failure("08006", "The connection to the database was lost.")
        for _ in range(self.size + 1):
            connection = await self.acquire(gated=gated)
            try:
                await connection.execute(CLEAN, timeout=self.patience)
                return connection
            except BaseException as error:
                if isinstance(error, TimeoutError):
                    self._forget(connection)
                broken = connection.is_closed() or isinstance(error, LOST)
                connection.terminate()
                self.release(connection)
                if not broken or isinstance(error, asyncio.CancelledError):
                    raise
                failure = failure_of(error)
        raise DatabaseError(failure)

    async def close(self) -> None:
        """Closes what is idle, and what nobody waits for any more; what is out closes when it comes back."""
        self._closed = True
        for connection, wire in list(self._wires.items()):
            if wire.is_ending:
                connection.terminate()
        while self._idle:
            connection = self._idle.pop()
            self._open -= 1
            await connection.close(timeout=2)

    def wire(self, connection: asyncpg.Connection) -> Wire:
        """The stream of a connection that is out."""
        return self._wires[connection]

    def life(self, connection: asyncpg.Connection) -> Any:
        """Which life of the server a connection was opened in; None where it does not say."""
        return self._lives.get(connection)

    async def _connect(self) -> asyncpg.Connection:
        self._open += 1
        connection: asyncpg.Connection | None = None
        try:
            connection = await pooled.connect(
                self.url,
                timeout=min(5.0, self.patience),
                command_timeout=self._limit,
                server_settings={
                    "application_name": "mendgate",
                    "standard_conforming_strings": "on",
                    "statement_timeout": self._timeout_ms,
                    "idle_in_transaction_session_timeout": "60000",
                    "TimeZone": "UTC",
                },
            )
            self._lives[connection] = await _life(connection)
            self._wires[connection] = Wire(connection, self.patience, self._limit)
            return connection
        except BaseException as error:
            if connection is not None:
                connection.terminate()
            self._open -= 1
            self._pass_on(None)
            if isinstance(error, asyncio.CancelledError):
                raise
            raise DatabaseError(_no_connection(error)) from error

    async def _turn(self, who: str) -> asyncpg.Connection | None:
        """A connection that somebody gave back, or None: a place to open one in."""
        turn: asyncio.Future[asyncpg.Connection | None] = asyncio.get_running_loop().create_future()
        self._waiting.put(who, turn)
        try:
            async with asyncio.timeout(self.wait):
                return await turn
        except BaseException as error:
            self._leave(who, turn)
            if not isinstance(error, TimeoutError):
                raise
            failure = Failure("53300", "Timed out waiting for a database connection.", hint="The gateway is busy: try again shortly.")
            raise DatabaseError(failure) from None

    def _leave(self, who: str, turn: asyncio.Future[asyncpg.Connection | None]) -> None:
        """Who waited goes away: what was given to them meanwhile is the next one's."""
        if turn.done() and not turn.cancelled():
            given = turn.result()
            self._open -= given is None
            self._pass_on(given)
        else:
            self._waiting.remove(who, turn)


async def _life(connection: asyncpg.Connection) -> Any:
    try:
        return await connection.fetchval(_LIFE, timeout=5)
    except asyncpg.SyntaxOrAccessError:
        return None  # a server that keeps no such statistics


def _no_connection(error: BaseException) -> Failure:
    if isinstance(error, asyncpg.PostgresError) and error.sqlstate:
        return failure_of(error)
    return Failure("08001", "The database cannot be reached.", str(error) or type(error).__name__)


class Transaction:
    """One transaction as one caller. Use ``begin``; then ``fetch``; then ``commit`` or ``rollback``; each exactly once."""

    def __init__(self, pool: Pool, connection: asyncpg.Connection) -> None:
        self._pool, self._connection = pool, connection
        self._done = False

    @classmethod
    async def begin(cls, pool: Pool, prelude: str, turn: str = "") -> Transaction:
        """Opens a transaction with ``prelude`` (which starts with BEGIN) in one round trip. ``turn``: see ``Pool.acquire``."""
        for attempt in (1, 2):
            connection = await pool.acquire(turn=turn)
            try:
                await connection.execute(CLEAN + prelude, timeout=pool.patience)
                return cls(pool, connection)
            except BaseException as error:
                if isinstance(error, TimeoutError):
                    pool.judge(connection, error)
                broken = connection.is_closed() or isinstance(error, LOST)
                if not broken or attempt == 2:
                    pool.judge(connection, error)
                await cls(pool, connection).rollback()
                if isinstance(error, asyncio.CancelledError):
                    raise
                if broken and attempt == 1:
                    continue  # an idle connection that had died: nothing was sent yet
                raise DatabaseError(failure_of(error)) from error
        raise AssertionError("unreachable")

    async def fetchrow(self, sql: str, *arguments: Any) -> asyncpg.Record | None:
        """The first record. On any error the transaction is rolled back and gone. Raises ``DatabaseError``."""
        connection = self._own()
        try:
            return await connection.fetchrow(sql, *arguments)
        except BaseException as error:
            await self._fail(error)
            raise

    async def try_fetchrow(self, sql: str, *arguments: Any) -> asyncpg.Record | None:
        """The first record, after a savepoint: an error of the statement leaves the transaction to be rolled back to that. Only where it
        cannot go on is it rolled back and gone. Raises ``DatabaseError``."""
        connection = self._own()
        try:
            return await connection.fetchrow(sql, *arguments)
        except BaseException as error:
            if not isinstance(error, asyncpg.PostgresError) or isinstance(error, _STALE) or self._connection.is_closed():
                await self._fail(error)
            if not isinstance(error, asyncpg.PostgresError):
                raise
            raise DatabaseError(failure_of(error)) from error

    @property
    def is_open(self) -> bool:
        """Whether it was neither committed nor rolled back."""
        return not self._done

    async def execute(self, sql: str) -> None:
        """Several statements in one round trip; errors as ``fetchrow``."""
        connection = self._own()
        try:
            await connection.execute(sql)
        except BaseException as error:
            await self._fail(error)
            raise

    async def fetch(self, sql: str, *arguments: Any) -> list[asyncpg.Record]:
        """All records; errors as ``fetchrow``."""
        connection = self._own()
        try:
            records: list[asyncpg.Record] = await connection.fetch(sql, *arguments)
            return records
        except BaseException as error:
            await self._fail(error)
            raise

    async def commit(self, before: str = "", xid: str | None = None) -> None:
        """Commits, after the statements ``before`` (run as ourselves, not as the caller; deferred constraints first, as the caller).
        Raises ``DatabaseError``: then nothing was stored."""
        connection = self._own()
        try:
            await connection.execute(commit_text(before))
        except BaseException as error:
            if isinstance(error, asyncpg.PostgresError) and not self._connection.is_closed():
                await self._fail(error)
            self._pool.judge(self._connection, error)
            await self._abandon()
            if not await resolved(self._pool, xid, self._pool.life(connection)):
                raise DatabaseError(NOT_STORED) from error
            return
        self._give_back()

    async def rollback(self) -> None:
        """Rolls back; never raises."""
        if self._done:
            return
        try:
            if self._connection.is_in_transaction():
                await self._connection.execute("ROLLBACK", timeout=self._pool.patience)
        except Exception:
            self._connection.terminate()
        self._give_back()

    def _own(self) -> asyncpg.Connection:
        """The connection while it is ours. Once given back it may be in somebody else's transaction, with their rights."""
        if self._done:
            raise DatabaseError(Failure("08003", "The transaction is over."))
        return self._connection

    async def _fail(self, error: BaseException) -> None:
        self._pool.judge(self._connection, error)
        if isinstance(error, asyncio.CancelledError):
            self._connection.terminate()
            self._give_back()
            return
        if isinstance(error, _STALE):
            await self._connection.reload_schema_state()
        await self.rollback()
        raise DatabaseError(failure_of(error)) from error

    async def _abandon(self) -> None:
        self._connection.terminate()
        self._give_back()

    def _give_back(self) -> None:
        if not self._done:
            self._done = True
            self._pool.release(self._connection)


async def resolved(pool: Pool, xid: str | None, life: Any) -> bool:
    """Whether a transaction of a ``life`` of the server, whose commit was cut off, did commit. Raises ``DatabaseError`` when it cannot
    be found out."""
    with suppress(TimeoutError):
        async with asyncio.timeout(pool.resolving):
            for attempt in range(40 if xid else 0):
                status, now = await _status(pool, xid, life, final=attempt >= _PATIENT_TRIES)
                if status == "aborted" or (now != life and status in ("in progress", "lost")):
                    return False
                if status == "committed" and now == life:
                    return True
                if status == "committed":
                    break  # ours, or another's that got the same id
                await asyncio.sleep(min(0.05 * 2**attempt, 0.5))
    failure = Failure(
        "MG504",
        "The connection was lost while committing and the outcome could not be found out.",
        hint="Send it again with the same Idempotency-Key: it will not be written twice.",
    )
    raise DatabaseError(failure)


async def _status(pool: Pool, xid: str | None, life: Any, *, final: bool) -> tuple[str, Any]:
    """What the server says of a transaction, and in which life. ``final``: one that is still under way has lost its COMMIT with its
    connection, and would keep its locks until the server notices; it is ended, and the next look knows."""
    try:
        async with pool.connection(gated=False) as connection:
            now = await _life(connection)
            try:
                status = str(await connection.fetchval("SELECT pg_xact_status($1::text::xid8)", xid))
            except asyncpg.InvalidParameterValueError:  # nobody has had this id
                return "lost", now
            if final and status == "in progress" and now == life:
                await connection.execute(_END_OF, xid)
            return status, now
    except (DatabaseError, asyncpg.PostgresError, *LOST):
        return "unreachable", None
