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
        self._local = pooled.local_call(connection)
        self._loop = asyncio.get_running_loop()
        self._prepared = Prepared(keeps=not pooled.is_deaf(connection))
        self._pieces: list[bytes] = []
        self._missing = 0
        """Bytes of a message that has come in part, and how many more make it whole, as far as is known."""
        self._unasked: list[bytes] = []
        self._rows: list[Record] = []
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[list[Record]] | None = None
        self._due, self._later, self._before = 0, 0, 0
        self._timer: asyncio.TimerHandle | None = None
        self._on_end: OnEnd | None = None
        self.is_open = False
        """Whether the server is in a transaction that the wire has begun."""
        self.has_answered = False
        """Whether the server has done anything of what was last asked, as far as it has told."""

    async def ask(self, opening: tuple[str, ...], before: Sequence[Step], step: Step, *, on_end: OnEnd | None = None) -> list[Record]:
        """Opens a transaction by the statements of ``opening`` (none: it is open), and runs ``step`` in it after what goes ``before``; its
        rows. With ``on_end`` the transaction ends by itself, and that is called when it has (or the connection is gone). Raises what
        asyncpg would: then the transaction may be open still (``is_open``)."""
        self._on_end, self.has_answered = on_end, False
        try:
            message = self._asked(opening, before, step)
        except BaseException as error:
            self._prepared.unsaid()
            self._end(error)
            raise
        if on_end is not None:
            message += messages.COMMIT
        return await self._heard_out(self._exchange(message, int(on_end is not None), self._patience if opening else self._limit))

    @property
    def is_ending(self) -> bool:
        """Whether all was answered that somebody waits for, and the end of the transaction is still to come."""
        return self._waiter is not None and self._waiter.done() and self._later > 0

    async def say(self, text: str) -> None:
        """Statements without parameters: the end of what ``ask`` began."""
        self.has_answered = False
        await self._heard_out(self._exchange(messages.said(text), 0, self._patience if text == "ROLLBACK" else self._limit))

    def _asked(self, opening: tuple[str, ...], before: Sequence[Step], step: Step) -> bytes:
        """All of it up to one Sync: where one fails, the server skips the rest. (A BEGIN that is a message of its own may fail alone, and
        then what follows it would be a transaction of its own, and be committed.)"""
        prepared = self._prepared
        opens = (*opening, self._local) if self._local and opening else opening
        parts = [prepared.forgotten(), prepared.firsts(opens), messages.FLUSH]
        parts += [prepared.opening(each) for each in before]
        parts += (prepared.statement(step), messages.SYNC)
        self._before = len(opens) + len(before)
        return b"".join(parts)

    def _exchange(self, message: bytes, later: int, patience: float) -> asyncio.Future[list[Record]]:
        """Sends, and waits until the server is ready; ``later`` times more nobody waits for."""
        if self._transport.is_closing():
            error = ConnectionResetError("The connection is closed.")
            self._terminate()
            self._end(error)
            raise error
        self._transport.set_protocol(self)
        self._rows, self._error, self._due, self._later = [], None, 1, later
        self._waiter = self._loop.create_future()
        self._timer = self._loop.call_later(patience, self._look, self._loop.time() + self._limit)
        self._transport.write(message)
        return self._waiter

    async def _heard_out(self, waiter: asyncio.Future[list[Record]]) -> list[Record]:
        """The answer. Who gives up on it ends the connection, unless all has come already: then it may be somebody else's."""
        try:
            return await waiter
        except asyncio.CancelledError:
            if self._waiter is waiter:
                self._terminate()
            raise

    def data_received(self, data: bytes) -> None:
        """Reads the messages that are there in full."""
        if self._missing > len(data):
            self._missing -= len(data)
            self._pieces.append(data)
            return
        if self._pieces:
            data = b"".join((*self._pieces, data))
        at, end, missing = 0, len(data), 0
        while end - at >= 5:
            kind, size = messages.HEAD(data, at)
            stop = at + 1 + size
            if stop > end:
                missing = stop - end
                break
            if kind == messages.ROW:
                self._rows.append(messages.columns(data, at + 7, stop))
            elif kind == messages.DONE:
                self._done()
            elif kind == messages.READY:
                if self._ready(data[at + 5]):
                    self._give_back(data[stop:])
                    return
            elif kind not in messages.NOTHING_TO_US:
                self._heard(kind, data, at, stop)
            at = stop
        self._pieces, self._missing = ([data[at:]], missing or 5 - (end - at)) if at < end else ([], 0)

    def _heard(self, kind: int, data: bytes, at: int, stop: int) -> None:
        if kind == messages.PARSED:
            self._prepared.came()
        elif kind == messages.ERROR:
            self._error = self._error or self._error_of(data[at + 5 : stop - 1])
        elif kind in messages.UNASKED:
            self._unasked.append(data[at:stop])
        else:
            self._terminate()
            self._fail(ConnectionError(f"The server sent a message of an unexpected kind: {kind}."))

    def _error_of(self, body: bytes) -> BaseException:
        fields = messages.fields(body)
        error: BaseException = asyncpg.PostgresError.new(fields)
        if fields.get("C") == _GONE and "W" not in fields:  # else a function says so, of itself or of statements of its own
            error = asyncpg.InvalidCachedStatementError("the prepared statement is gone")
        if isinstance(error, asyncpg.InvalidCachedStatementError):
            self._prepared.forget()
        return error

    def _done(self) -> None:
        """A statement ended; the rows are those of the one that was asked."""
        self.has_answered = True
        if self._before:
            self._before -= 1
            self._rows = []

    def _ready(self, status: int) -> bool:
        """Whether that was the last time."""
        self.is_open = status != _IDLE
        if self._due:
            self._due = 0
            self._answer()
        elif self._later:
            self._later -= 1
        return self._later == 0

    def _answer(self) -> None:
        waiter, rows = self._waiter, self._rows
        self._rows = []
        if waiter is not None and not waiter.done():
            if self._error is None:
                waiter.set_result(rows)
            else:
                waiter.set_exception(self._error)

    def _give_back(self, rest: bytes) -> None:
        """The stream is asyncpg's again, with what the server said unasked: settings of the session that asyncpg goes by. Of a message
        that has come in part, nobody knows who will get the other one: such a connection ends."""
        if self._timer is not None:
            self._timer.cancel()
        self._prepared.over()
        self._waiter, self._pieces, self._missing = None, [], 0
        whole = messages.whole(rest)
        if self._transport.is_closing() or whole < len(rest):
            self._terminate()
        else:
            self._transport.set_protocol(self._owner)
            if unasked := b"".join((*self._unasked, rest)):
                self._unasked = []
                self._owner.data_received(unasked)
        error, self._error = self._error, None
        self._end(error)

    def _end(self, error: BaseException | None) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(error)

    def _terminate(self) -> None:
        if (connection := self._connection()) is not None:
            connection.terminate()

    def _look(self, until: float) -> None:
        """Whether the server has said anything in time: the first word soon, the rest in the time for all."""
        left = until - self._loop.time()
        if not self.has_answered or left <= 0:
            self._terminate()
            self._fail(TimeoutError())
        else:
            self._timer = self._loop.call_later(left, self._look, until)

    def _fail(self, error: BaseException) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._rows, self._pieces, self._missing = [], [], 0
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
