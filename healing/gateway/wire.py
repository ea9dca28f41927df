"""What a batch says to Postgres, in one go: the opening of its transaction, its statement, and for reads the end.

asyncpg opens a connection and knows everything about it; but it waits for each answer before it says the next thing, which is most of what
a single request waits for. A ``Wire`` speaks on the same connection in between: it takes the stream over for one exchange, and gives it
back when the server is ready for the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any
from weakref import ref

import asyncpg

from healing.gateway import wire_messages as messages
from healing.gateway.wire_messages import Record, Step
from healing.gateway.wire_prepared import Prepared
from schema_monitor import pooled

OnEnd = Callable[[BaseException | None], None]
"""Told what went wrong, if anything did."""
_IDLE = ord("I")
_GONE = "26000"


class Wire(asyncio.Protocol):
    """The stream of one idle asyncpg connection. ``patience`` is for what takes a server no time (the opening, the end), ``limit`` for a
    whole exchange, in seconds; then the connection is as good as gone."""

    def __init__(self, connection: asyncpg.Connection, patience: float, limit: float) -> None:
        self._connection, self._patience, self._limit = ref(connection), patience, limit
        self._transport: Any = connection._transport
        self._owner: Any = connection._protocol
        self._local = pooled.local_of(connection)
        self._loop = asyncio.get_running_loop()
        self._prepared = Prepared(keeps=not pooled.is_deaf(connection))
        self._rest = b""
        self._rows: list[Record] = []
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[list[Record]] | None = None
        self._due, self._later, self._before = 0, 0, 0
        self._timer: asyncio.TimerHandle | None = None
        self._on_end: OnEnd | None = None
        self.is_open = False
        """Whether the server is in a transaction that the wire has begun."""

    async def ask(self, begin: str, before: Sequence[Step], step: Step, *, on_end: OnEnd | None = None) -> list[Record]:
        """Opens a transaction by ``begin``, and runs ``step`` in it after what goes ``before``; its rows. With ``on_end`` the transaction
        ends by itself, and that is called when it has (or the connection is gone). Raises what asyncpg would: then the transaction may
        be open still (``is_open``)."""
        prepared = self._prepared
        parts = [prepared.forgotten(), messages.said(pooled.opened(begin, self._local) if self._local else begin)]
        parts += [prepared.opening(each) for each in before]
        parts += (prepared.statement(step), messages.SYNC, messages.COMMIT if on_end else b"")
        self._before, self._on_end = len(before), on_end
        return await self._exchange(b"".join(parts), 2, 1 if on_end else 0, self._patience)

    async def say(self, text: str) -> None:
        """Statements without parameters: the end of what ``ask`` began."""
        await self._exchange(messages.said(text), 1, 0, self._patience if text == "ROLLBACK" else self._limit)

    def _exchange(self, message: bytes, due: int, later: int, patience: float) -> asyncio.Future[list[Record]]:
        """Sends, and waits for so many times that the server is ready; ``later`` times more nobody waits for."""
        if self._transport.is_closing():
            error = ConnectionResetError("The connection is closed.")
            self._end(error)
            raise error
        self._transport.set_protocol(self)
        self._rows, self._error, self._due, self._later = [], None, due, later
        self._waiter = self._loop.create_future()
        self._timer = self._loop.call_later(patience, self._look, due, self._loop.time() + self._limit)
        self._transport.write(message)
        return self._waiter

    def data_received(self, data: bytes) -> None:
        """Reads the messages that are there in full."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 5:
            kind, size = messages.HEAD(data, at)
            stop = at + 1 + size
            if stop > end:
                break
            if kind == messages.ROW:
                self._rows.append(messages.columns(data, at + 7, stop))
            elif kind == messages.DONE:
                self._done()
            elif kind == messages.READY:
                self._ready(data[at + 5])
            elif kind not in messages.NOTHING_TO_US:
                self._heard(kind, data[at + 5 : stop - 1])
            at = stop
        self._rest = data[at:]

    def _heard(self, kind: int, body: bytes) -> None:
        if kind == messages.PARSED:
            self._prepared.came()
        elif kind == messages.ERROR:
            self._error = self._error or self._error_of(body)
        else:
            self._terminate()
            self._fail(ConnectionError(f"The server sent a message of an unexpected kind: {kind}."))

    def _error_of(self, body: bytes) -> BaseException:
        fields = messages.fields(body)
        error: BaseException = asyncpg.PostgresError.new(fields)
        if fields.get("C") == _GONE:
            error = asyncpg.InvalidCachedStatementError("the prepared statement is gone")
        if isinstance(error, asyncpg.InvalidCachedStatementError):
            self._prepared.forget()
        return error

    def _done(self) -> None:
        """A statement ended; the rows are those of the one that was asked."""
        if self._due == 1 and self._before:
            self._before -= 1
            self._rows = []

    def _ready(self, status: int) -> None:
        self.is_open = status != _IDLE
        if self._due:
            self._due -= 1
            if self._due == 0:
                self._answer()
        elif self._later:
            self._later -= 1
        if self._due == self._later == 0:
            self._give_back()

    def _answer(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            if self._error is None:
                waiter.set_result(self._rows)
            else:
                waiter.set_exception(self._error)

    def _give_back(self) -> None:
        """The stream is asyncpg's again."""
        if self._timer is not None:
            self._timer.cancel()
        self._prepared.over()
        self._waiter, self._rest = None, b""
        if not self._transport.is_closing():
            self._transport.set_protocol(self._owner)
        self._end(self._error)

    def _end(self, error: BaseException | None) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(error)

    def _terminate(self) -> None:
        if (connection := self._connection()) is not None:
            connection.terminate()

    def _look(self, due: int, until: float) -> None:
        """Whether the server has said anything in time: the first word soon, the rest in the time for all."""
        left = until - self._loop.time()
        if self._due == due or left <= 0:
            self._terminate()
            self._fail(TimeoutError())
        else:
            self._timer = self._loop.call_later(left, self._look, -1, until)

    def _fail(self, error: BaseException) -> None:
        if self._timer is not None:
            self._timer.cancel()
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_exception(error)
        self._end(error)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tells asyncpg, and who waits."""
        self._owner.connection_lost(exc)
        self._fail(_closed(self._error or exc))

    def eof_received(self) -> None:
        """The server closes; ``connection_lost`` follows."""

    def pause_writing(self) -> None:
        """A batch is bounded; it is written whole."""

    def resume_writing(self) -> None:
        """See ``pause_writing``."""


def _closed(cause: BaseException | None) -> BaseException:
    error: BaseException = asyncpg.ConnectionDoesNotExistError(f"the connection was closed: {cause or 'no reason given'}")
    error.__cause__ = cause
    return error
