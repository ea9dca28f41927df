"""What a batch says to Postgres, in one go: the opening of its transaction, its statement, and for reads the end.

asyncpg opens a connection and knows everything about it; but it waits for each answer before it says the next thing, which is most of what
a single request waits for. A ``Wire`` speaks on the same connection in between: it takes the stream over for one exchange, and gives it
back when the server is ready for the next. It knows what lanes need of the protocol (version 3.0, "Message Flow" in Postgres's manual) and
no more: parameters and columns as text.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from struct import Struct as Layout
from typing import Any

import asyncpg

from schema_monitor import pooled

Record = list[bytes | None]
"""A row's columns as text."""
OnEnd = Callable[[BaseException | None], None]
"""Told what went wrong, if anything did."""

_HEAD = Layout(">BI").unpack_from
_LENGTH = Layout(">i").unpack_from
_ROW, _READY, _ERROR, _PARSED = b"DZE1"
_NOTHING_TO_US = frozenset(b"23CIKNSTnstA")
"""Bind and close complete, command complete, notices, settings, descriptions, notifications."""
_PREPARED = 100
"""Statements kept prepared on a connection."""
_GONE = "26000"
_NULL = b"\xff\xff\xff\xff"
_SYNC = b"S\0\0\0\4"


class Wire(asyncio.Protocol):
    """The stream of one idle asyncpg connection. ``patience`` is for what takes a server no time (the opening, the end), ``limit`` for a
    whole exchange, in seconds; then the connection is as good as gone."""

    def __init__(self, connection: asyncpg.Connection, patience: float, limit: float) -> None:
        self._connection, self._patience, self._limit = connection, patience, limit
        self._transport: Any = connection._transport
        self._owner: Any = connection._protocol
        self._local = pooled.local_of(connection)
        self._keeps = not pooled.is_deaf(connection)
        self._loop = asyncio.get_running_loop()
        self._prepared: dict[str, bytes] = {}
        self._parsing: tuple[str, bytes] | None = None
        self._stale: list[bytes] = []
        self._count = 0
        self._rest = b""
        self._rows: list[Record] = []
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[list[Record]] | None = None
        self._due, self._later = 0, 0
        self._timer: asyncio.TimerHandle | None = None
        self._on_end: OnEnd | None = None
        self.is_open = False
        """Whether the server is in a transaction that the wire has begun."""

    async def ask(self, opening: str, sql: str, arguments: Sequence[bytes | None], *, on_end: OnEnd | None = None) -> list[Record]:
        """Opens a transaction by ``opening`` (without parameters, starts with BEGIN) and runs a statement in it, with these ``arguments``
        as text; its rows. With ``on_end`` the transaction ends by itself, and that is called when it has (or the connection is gone).
        Raises what asyncpg would: then the transaction may be open still (``is_open``)."""
        message = b"".join((_said(opened(opening, self._local)), self._bound(sql, arguments), _SYNC, _COMMIT if on_end else b""))
        self._on_end = on_end
        return await self._exchange(message, 2, 1 if on_end else 0, self._patience)

    async def say(self, text: str) -> None:
        """Statements without parameters: the end of what ``ask`` began."""
        await self._exchange(_said(text), 1, 0, self._patience if text == "ROLLBACK" else self._limit)

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

    def _bound(self, sql: str, arguments: Sequence[bytes | None]) -> bytes:
        """The messages that run a statement: prepared once a connection, or each time where a pooler would not keep it."""
        name = self._prepared.get(sql)
        parts = [_framed(b"C", b"S" + name + b"\0") for name in self._stale]
        self._stale = []
        if name is None:
            name = self._name()
            self._parsing = (sql, name)
            parts.append(_framed(b"P", name + b"\0" + sql.encode() + b"\0\0\0"))
        values = b"".join([_NULL if value is None else len(value).to_bytes(4) + value for value in arguments])
        parts.append(_framed(b"B", b"\0%b\0\0\0%b%b\0\0" % (name, len(arguments).to_bytes(2), values)))
        parts.append(_EXECUTE)
        return b"".join(parts)

    def _name(self) -> bytes:
        if not self._keeps:
            return b""
        if len(self._prepared) >= _PREPARED:
            self._stale.append(self._prepared.pop(next(iter(self._prepared))))
        self._count += 1
        return b"mg%d" % self._count

    def data_received(self, data: bytes) -> None:
        """Reads the messages that are there in full."""
        if self._rest:
            data = self._rest + data
        at, end = 0, len(data)
        while end - at >= 5:
            kind, size = _HEAD(data, at)
            stop = at + 1 + size
            if stop > end:
                break
            if kind == _ROW:
                self._rows.append(_columns(data, at + 7, stop))
            elif kind == _READY:
                self._ready(data[at + 5])
            elif kind not in _NOTHING_TO_US:
                self._heard(kind, data[at + 5 : stop - 1])
            at = stop
        self._rest = data[at:]

    def _heard(self, kind: int, body: bytes) -> None:
        if kind == _PARSED:
            if self._parsing is not None and self._keeps:
                self._prepared[self._parsing[0]] = self._parsing[1]
            self._parsing = None
        elif kind == _ERROR:
            self._error = self._error or self._error_of(body)
        else:
            self._connection.terminate()
            self._fail(ConnectionError(f"The server sent a message of an unexpected kind: {kind}."))

    def _error_of(self, body: bytes) -> BaseException:
        fields = {part[:1].decode(): part[1:].decode(errors="replace") for part in body.split(b"\0") if part}
        error: BaseException = asyncpg.PostgresError.new(fields)
        if fields.get("C") == _GONE:
            error = asyncpg.InvalidCachedStatementError("the prepared statement is gone")
        if isinstance(error, asyncpg.InvalidCachedStatementError):
            self._stale += self._prepared.values()
            self._prepared = {}
        return error

    def _ready(self, status: int) -> None:
        self.is_open = status != b"I"[0]
        if self._due:
            self._due -= 1
            if self._due:
                self._rows = []  # what settings were set to
            else:
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
        self._waiter, self._parsing, self._rest = None, None, b""
        if not self._transport.is_closing():
            self._transport.set_protocol(self._owner)
        self._end(self._error)

    def _end(self, error: BaseException | None) -> None:
        on_end, self._on_end = self._on_end, None
        if on_end is not None:
            on_end(error)

    def _look(self, due: int, until: float) -> None:
        """Whether the server has said anything in time: the first word soon, the rest in the time for all."""
        left = until - self._loop.time()
        if self._due == due or left <= 0:
            self._connection.terminate()
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


def opened(text: str, local: str) -> str:
    """SQL text that opens a transaction, with what this connection is told in each."""
    return pooled.opened(text, local) if local else text


def _columns(data: bytes, at: int, stop: int) -> Record:
    row: Record = []
    while at < stop:
        (length,) = _LENGTH(data, at)
        at += 4
        if length < 0:
            row.append(None)
        else:
            row.append(data[at : at + length])
            at += length
    return row


def _framed(kind: bytes, body: bytes) -> bytes:
    return kind + (len(body) + 4).to_bytes(4) + body


def _said(text: str) -> bytes:
    return _framed(b"Q", text.encode() + b"\0")


_EXECUTE = _framed(b"E", b"\0\0\0\0\0")
_COMMIT = _said("COMMIT")
