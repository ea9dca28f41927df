"""Connections for asyncio to a Postgres that may have a pooler in front of it. The only place where the gateway connects.

A pooler in transaction mode (PgBouncer, Supavisor) hands a session of the server out for one transaction at a time. What stays on a session
reaches strangers, and what we left there is gone: prepared statements, SET, LISTEN. So there, found out by ``behind_pooler``,
- nothing is prepared by name, and every statement runs in a transaction, which begins by clearing what a stranger left;
- what a connection is to have for its whole life (time limits, time zone) is SET LOCAL in each transaction instead.
LISTEN would be deaf there and is left out; whoever listens also looks by the clock.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Mapping
from typing import Any

import asyncpg

PATIENCE = 5.0
"""Seconds to connect."""
_NAMED = "application_name"
"""Poolers take this one from their clients; most of the others they refuse, or ignore."""
_BEGINS = re.compile(r"((?:RESET [A-Z]+;)*BEGIN\b[^;]*);?")
_CLEAN = "RESET ALL;RESET ROLE;"
PROVEN = 60.0
"""Seconds that a URL is taken to lead to the server itself, once it did: poolers are put in front of running servers."""
_pooled: set[str] = set()
_direct: dict[str, float] = {}
_sessions = False


def configure(*, session_mode: bool) -> None:
    """Whether poolers keep a session for each client (a person says so; it cannot be found out for sure)."""
    global _sessions
    _sessions = session_mode


class Session(asyncpg.Connection):  # type: ignore[misc]
    """Behind a pooler that keeps a session for each client."""

    local, call = "", ""
    """SQL that follows each BEGIN: several statements, or the same as one."""

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        """As asyncpg's."""
        return str(await super().execute(query if args else opened(query, self.local), *args, **options))


class Transactional(Session):
    """Behind a pooler in transaction mode."""

    async def execute(self, query: str, *args: Any, **options: Any) -> str:
        """Several statements without arguments go to the server in one message, and so to one session."""
        if not args or self.is_in_transaction():
            return await super().execute(query, *args, **options)
        return str(await self._alone(super().execute, query, *args, **options))

    async def executemany(self, command: str, args: Any, **options: Any) -> None:
        """As asyncpg's."""
        await self._alone(super().executemany, command, args, **options)

    async def fetch(self, query: str, *args: Any, **options: Any) -> Any:
        """As asyncpg's."""
        return await self._alone(super().fetch, query, *args, **options)

    async def fetchrow(self, query: str, *args: Any, **options: Any) -> Any:
        """As asyncpg's."""
        return await self._alone(super().fetchrow, query, *args, **options)

    async def fetchval(self, query: str, *args: Any, **options: Any) -> Any:
        """As asyncpg's."""
        return await self._alone(super().fetchval, query, *args, **options)

    async def add_listener(self, channel: str, callback: Any) -> None:
        """Nothing: the session that would listen is somebody else's a moment later."""

    async def _alone(self, run: Any, *args: Any, **options: Any) -> Any:
        if self.is_in_transaction():
            return await run(*args, **options)
        await super().execute(f"{_CLEAN}BEGIN")
        try:
            answer = await run(*args, **options)
            await super().execute("COMMIT")
        except asyncpg.PostgresError:
            if not self.is_closed():
                await super().execute("ROLLBACK")
            raise
        except BaseException:  # cut, or given up: nobody may be handed what is still open
            self.terminate()
            raise
        return answer


async def connect(url: str, *, server_settings: Mapping[str, str] | None = None, **options: Any) -> asyncpg.Connection:
    """As ``asyncpg.connect``, fit for what stands at that URL. ``options``: asyncpg's ``timeout`` and ``command_timeout``."""
    options.setdefault("timeout", PATIENCE)
    settings = dict(server_settings or {})
    if url not in _pooled:
        connection = await _directly(url, settings, options)
        if connection is not None:
            return connection
    named = {_NAMED: settings.pop(_NAMED)} if _NAMED in settings else {}
    kind = Session if _sessions else Transactional
    here = type(kind.__name__, (kind,), {"local": local_settings(settings), "call": local_settings_call(settings)})
    cached = {} if _sessions else {"statement_cache_size": 0}
    return await asyncpg.connect(url, server_settings=named, connection_class=here, **options, **cached)


async def _directly(url: str, settings: dict[str, str], options: dict[str, Any]) -> asyncpg.Connection | None:
    """A connection to the server itself; None where a pooler is found instead."""
    try:
        connection = await asyncpg.connect(url, server_settings=settings, **options)
    except asyncpg.ProtocolViolationError:  # a pooler refused one of the settings
        _pooled.add(url)
        return None
    if _direct.get(url, 0.0) > time.monotonic():
        return connection
    try:
        async with asyncio.timeout(options["timeout"]):
            pooled = await behind_pooler(connection)
    except BaseException:
        connection.terminate()
        raise
    if not pooled:
        _direct[url] = time.monotonic() + PROVEN
        return connection
    connection.terminate()
    _pooled.add(url)
    return None


async def behind_pooler(connection: asyncpg.Connection) -> bool:
    """Whether somebody between us and the server answers in its name: then the process that serves us is not the one we were told of.
    Leaves nothing behind, wherever it was asked."""
    await connection.execute("BEGIN READ ONLY")
    serving = await (await connection.prepare("SELECT pg_catalog.pg_backend_pid()", name="")).fetchval()
    await connection.execute("ROLLBACK")
    return bool(serving != connection.get_server_pid())


def is_deaf(connection: asyncpg.Connection) -> bool:
    """Whether notifications never reach it. (``isinstance`` would say so of every connection: asyncpg's answers for its subclasses.)"""
    return Transactional in type(connection).__mro__


def local_call(connection: asyncpg.Connection) -> str:
    """One statement that follows each BEGIN on this connection; '' for none."""
    return getattr(connection, "call", "")


def opened(text: str, local: str) -> str:
    """SQL text with ``local`` behind the BEGIN that it starts with; as it is where it starts otherwise."""
    begins = _BEGINS.match(text)
    return f"{begins[1]};{local}{text[begins.end() :]}" if begins else text


def local_settings(settings: Mapping[str, str]) -> str:
    """The same for one transaction, as SQL to follow BEGIN."""
    return "".join(f"SET LOCAL {name}='{_doubled(value)}';" for name, value in settings.items())


def local_settings_call(settings: Mapping[str, str]) -> str:
    """The same as one statement; '' for no settings."""
    calls = ",".join(f"set_config('{name}','{_doubled(value)}',true)" for name, value in settings.items())
    return f"SELECT {calls}" if calls else ""


def _doubled(value: str) -> str:
    return value.replace("'", "''")
