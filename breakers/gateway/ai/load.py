"""Keeps the snapshot current: rows of the control database, and the environment's own provider.

The database may be away, at the start too: the last rows stay in force (a copy lies under ``home``, keys sealed as in the database).
A key that its provider refuses is retired here at once; the database, and so every other process, learns it as soon as it answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from typing import Any

import asyncpg
import msgspec
from msgspec.structs import replace

from breakers.gateway.ai.remembered import remember, remembered
from breakers.gateway.ai.rows import ALL, Rows, snapshot_of
from breakers.gateway.ai.settings import AiSettings
from breakers.gateway.ai.snapshot import AiSnapshot, Credential, Model, Provider, Secret

log = logging.getLogger("mendgate.ai")

ENVIRONMENT = "default"
"""The name of the environment's provider, where no row has it."""
ENVIRONMENT_KEY = "env"
CHANNEL, PART = "mendgate_snapshot", "ai"
LOOK_EVERY = 5.0
"""Seconds between two looks that nobody asked for: what a lost notification costs."""
PATIENCE = 2.0
"""Seconds that a start waits for the database."""
ENVIRONMENT_RETIRED = 60.0
"""Seconds after which the environment's key is tried again: nobody can revive it by hand."""
_USED_EVERY = 15.0
_GONE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError, asyncio.TimeoutError)
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0)
_RETIRE = "UPDATE breakers_aicredential SET state = 'retired', why = $2, changed_at = now() WHERE id = $1::uuid AND state = 'active'"
_USED = "UPDATE breakers_aicredential SET last_used_at = now() WHERE id = ANY($1::uuid[])"


def from_environment(settings: AiSettings) -> AiSnapshot:
    """What AI_BASE_URL, AI_API_KEY and AI_MODEL say; empty without the first."""
    if not settings.base_url:
        return AiSnapshot()
    credentials = (Credential(id=ENVIRONMENT_KEY, secret=Secret(settings.api_key)),) if settings.api_key else ()
    provider = Provider(
        name=ENVIRONMENT,
        base_url=settings.base_url.rstrip("/"),
        credentials=credentials,
        wants_key=bool(credentials),
        allow_private=True,  # whoever sets the environment may reach what this machine reaches
    )
    name = settings.model or ""
    models = {name: Model(name=name, provider=ENVIRONMENT, upstream=name)} if name else {}
    return AiSnapshot(providers={ENVIRONMENT: provider}, models=models, default_model=name)


class Source:
    """``snapshot`` is always there; it begins as what the environment says."""

    def __init__(self, settings: AiSettings) -> None:
        self._settings = settings
        self._environment = from_environment(settings)
        self._snapshot = self._environment
        self._rows = Rows()
        self._text = ""
        self._retired: dict[str, str] = {}
        """keys that are out of use here, by id, with the reason; the database need not know yet."""
        self._used: set[str] = set()
        self._bell = asyncio.Event()
        self._looked = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._flushed = 0.0

    @property
    def snapshot(self) -> AiSnapshot:
        """Everything as of now; use one from a request's beginning to its end."""
        return self._snapshot

    async def start(self) -> None:
        """Loads what can be loaded now, and follows changes; needs no database."""
        if not self._settings.database_url or self._task is not None:
            return
        self._task = asyncio.create_task(self._follow())
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PATIENCE):
                await self._looked.wait()
        if not self._looked.is_set():
            with contextlib.suppress(msgspec.DecodeError):  # of another version: the database will tell
                self._take(await asyncio.to_thread(remembered, self._settings.home))

    async def stop(self) -> None:
        """Follows no more."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def retire(self, credential_id: str, why: str) -> None:
        """Takes a provider's key out of use: here at once, everywhere soon, until a person revives it. Never blocks."""
        if credential_id in self._retired:
            return
        self._retired[credential_id] = why[:500]
        log.error("an AI provider's key was retired: %s", why)
        if credential_id == ENVIRONMENT_KEY:
            asyncio.get_running_loop().call_later(ENVIRONMENT_RETIRED, self._revive, credential_id)
        self._swap()
        self._bell.set()

    def used(self, credential_id: str) -> None:
        """Notes that a key was used."""
        if credential_id != ENVIRONMENT_KEY:
            self._used.add(credential_id)

    def _revive(self, credential_id: str) -> None:
        self._retired.pop(credential_id, None)
        self._swap()

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                connection = await self._connect()
                try:
                    failures = 0
                    await self._listen(connection)
                finally:
                    connection.terminate()
            except _GONE as error:
                log.warning(
                    "not following the AI gateway's configuration, going on with what is known: %s", str(error) or type(error).__name__
                )
            except Exception:
                log.exception("the AI gateway's configuration cannot be read")
            await asyncio.sleep(_PAUSES[min(failures, len(_PAUSES) - 1)])
            failures += 1

    async def _connect(self) -> asyncpg.Connection:
        settings = {"application_name": "mendgate ai"}
        connection = await self._settings.connect(self._settings.database_url, timeout=5, command_timeout=10, server_settings=settings)
        connection.add_termination_listener(lambda _: self._bell.set())
        with contextlib.suppress(asyncpg.ReadOnlySQLTransactionError):  # a standby: we look every few seconds
            await connection.add_listener(CHANNEL, self._ring)
        return connection

    def _ring(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        if payload == PART:
            self._bell.set()

    async def _listen(self, connection: asyncpg.Connection) -> None:
        """LISTEN is done: the first look sees what was missed before it."""
        while True:
            self._bell.clear()
            written = await self._write_back(connection)
            text = await connection.fetchval(ALL)
            for each in written:  # the rows say it now, until a person revives the key
                self._retired.pop(each, None)
            if text != self._text:
                self._take(text)
                await asyncio.to_thread(remember, self._settings.home, text)
            self._looked.set()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LOOK_EVERY):
                    await self._bell.wait()

    async def _write_back(self, connection: asyncpg.Connection) -> list[str]:
        """Stores which keys were retired, and which were used. Returns the former."""
        retired = {each: why for each, why in self._retired.items() if each != ENVIRONMENT_KEY}
        if retired:
            async with connection.transaction():
                await connection.executemany(_RETIRE, list(retired.items()))
                await connection.execute("SELECT pg_notify($1, $2)", CHANNEL, PART)
        if self._used and time.monotonic() >= self._flushed:
            await connection.execute(_USED, list(self._used))
            self._used, self._flushed = set(), time.monotonic() + _USED_EVERY
        return list(retired)

    def _take(self, text: str | None) -> None:
        """Puts rows in force. Raises ``msgspec.DecodeError`` for what are no rows."""
        if text is None:
            return
        self._rows, self._text = msgspec.json.decode(text, type=Rows), text
        self._swap()

    def _swap(self) -> None:
        fresh = snapshot_of(self._rows, self._environment, self._settings.unseal, self._retired)
        self._snapshot = replace(fresh, version=self._snapshot.version + 1)
