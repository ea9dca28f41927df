"""What one gateway process is made of: pools, state, coalescer, and whether the target has our schema."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import msgspec

from healing.core.mend import Context
from healing.core.types import Failure, Healing
from healing.gateway.auth import Authenticator, Caller
from healing.gateway.coalesce import Coalescer
from healing.gateway.follow import Follower
from healing.gateway.keeper import Keeper
from healing.gateway.quotas import Quotas
from healing.gateway.settings import Settings
from healing.gateway.shapes import Shapes
from healing.gateway.state import State
from healing.gateway.target import DatabaseError, Pool, failure_of
from healing.gateway.target_gate import Gate
from healing.gateway.together import Together
from healing.gateway.traffic import Traffic
from healing.gateway.transactions.journal import Journal
from schema_monitor import catalog, pooled
from schema_monitor.core.lineage import LabelSighting, Seen, Sighting
from schema_monitor.core.snapshot import EnumType, Relation

log = logging.getLogger("mendgate.gateway")

_OURS = """
SELECT coalesce(has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(r.oid, 'INSERT')
    AND has_table_privilege(i.oid, 'SELECT') AND has_table_privilege(i.oid, 'INSERT'), false)
FROM pg_namespace n
JOIN pg_class r ON r.relnamespace = n.oid AND r.relname = 'receipts'
JOIN pg_class i ON i.relnamespace = n.oid AND i.relname = 'idempotency'
WHERE n.nspname = 'mendgate'"""
AGAIN = "Send it again."
_SIGHTING = "INSERT INTO schema_monitor_schemasighting (body) VALUES ($1::text::jsonb)"
_USED = """
UPDATE healing_apikey SET last_used_at = now()
WHERE id = ANY($1::text[]::uuid[]) AND (last_used_at IS NULL OR last_used_at < now() - interval '1 minute')"""


class Services:
    """Everything a request needs. Open once, close once."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.pool = Pool(settings.target_database_url, settings.pool_size, settings.pool_wait, settings.statement_timeout, Gate())
        self.control = Pool(settings.database_url, 4, 5.0, 10.0)
        self.keeper = Keeper(settings)
        self.follower = Follower(settings, self.keeper)
        self.auth = Authenticator(settings, self.keeper.find_key)
        self.keeper.on_keys_changed = self.auth.forget
        self.coalescer, self.together = Coalescer(self.pool), Together(self.pool)
        self.shapes = Shapes()
        self.quotas = Quotas(settings.ai.redis_url, settings.ai.namespace, settings.most_in_flight)
        self.traffic = Traffic(self.control, lambda: self.keeper.state)
        self.journal = Journal(self.control)
        self.statements: dict[object, str] = {}
        self.narrow: set[tuple[int, str]] = set()
        """tables (oid) and roles that may not see who wrote a row last."""
        self.waiting = 0
        """requests that wait for the AI tier (``waiting``)."""
        self._ours: tuple[bool, float] = (False, 0.0)
        self._telling: set[asyncio.Task[None]] = set()
        self._housekeeping: asyncio.Task[None] | None = None
        self._refreshed = 0.0
        self._rereading: asyncio.Task[None] | None = None
        self._beside = asyncio.Lock()
        self._unread: Failure | None = None

    @property
    def state(self) -> State:
        return self.keeper.state

    async def open(self, *, background: bool = True) -> None:
        """Loads the state; with ``background`` keeps listening for changes, else it is the target's of now once."""
        await self.keeper.start(listen=background)
        if not background and self.keeper.ready:
            await self.follower.look_once()
        if background:
            self.follower.start()
            self.traffic.start()
            self.journal.start()
            self.quotas.open()
            self._housekeeping = asyncio.create_task(self._keep_house())

    async def look_again(self) -> None:
        """For services without ``background``: reads what changed since."""
        await self.keeper.look()
        await self.follower.look_once()

    async def close(self) -> None:
        """Finishes what is under way and closes the connections."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
        await self.coalescer.close()
        await self.together.close()
        await self.quotas.close()
        if self._telling:
            await asyncio.wait(self._telling, timeout=2)
        await self._flush_used()
        await self.traffic.stop()
        await self.journal.stop()
        await self.follower.stop()
        await self.keeper.stop()
        await self.pool.close()
        await self.control.close()

    @property
    def surely_has_our_schema(self) -> bool:
        """Whether the target was seen to have it a short while ago, without asking."""
        known, until = self._ours
        return known and time.monotonic() < until

    async def has_our_schema(self) -> bool:
        """Whether receipts and idempotency records can be written by the row's own transaction. Asked again every 10 s."""
        known, until = self._ours
        if time.monotonic() < until:
            return known
        try:
            async with self.pool.connection() as connection:
                found = bool(await connection.fetchval(_OURS))
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise DatabaseError(failure_of(error)) from error
        self._ours = (found, time.monotonic() + (60.0 if found else 10.0))
        return found

    def forget_our_schema(self) -> None:
        """Asks again next time whether it is there."""
        self._ours = (False, 0.0)

    def context(
        self, relation: Relation | None, operation: str, level: Healing, strict: bool, caller: Caller, moved: bool = False
    ) -> Context:
        """What the healing core may know for one statement."""
        state = self.state
        if relation is None:
            return Context(None, state.snapshot, state.lineage, None, level)
        rules = state.rules_for(relation, operation, caller.identity)
        vet = state.vet(relation)
        book = state.rulebook_for(relation, operation)
        return Context(relation, state.snapshot, state.lineage, vet, level, rules, strict, caller.claims, moved, book)

    async def reread(self, schema: str, name: str, known: Relation | None, *, holds_one: bool = False) -> Relation | None:
        """Reads one relation's catalog entry again and puts it in force; tells the watcher where it differs. Raises ``DatabaseError``
        (MG503) where it cannot be read now: then nothing that is unknown is known to be wrong. ``holds_one``: see ``_looking``."""
        try:
            return await self._reread(schema, name, known, holds_one)
        except DatabaseError as error:
            raise DatabaseError(_unread(error.failure)) from error
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            raise DatabaseError(_unread(failure_of(error))) from error

    @asynccontextmanager
    async def _looking(self, holds_one: bool) -> AsyncIterator[asyncpg.Connection]:
        """A connection to look at the catalog with. Who holds one of the pool does not wait there for one more: where none is free, theirs
        is beside it, one at a time."""
        if not holds_one or self.pool.has_free:
            async with self.pool.connection() as connection:
                yield connection
            return
        async with self._beside:
            connection = await pooled.connect(self.settings.target_database_url, timeout=5, command_timeout=5)
            try:
                yield connection
            finally:
                await connection.close(timeout=2)

    async def _reread(self, schema: str, name: str, known: Relation | None, holds_one: bool) -> Relation | None:
        async with self._looking(holds_one) as connection:
            fresh = await catalog.read_relation(connection, schema, name)
            if fresh is None and known is not None:
                fresh = await catalog.read_relation_by_oid(connection, known.oid)
            elif fresh is not None and known is not None and fresh.oid != known.oid:
                moved = await catalog.read_relation_by_oid(connection, known.oid)
                self._adopt(known, moved)
            enums = await catalog.read_enums(connection, _enums_of(fresh)) if fresh is not None else ()
        self._adopt(known if fresh is None or (known is not None and fresh.oid == known.oid) else None, fresh)
        self._adopt_enums(enums)
        return fresh

    async def reread_all(self) -> bool:
        """Reads the whole catalog, at most once a second; who comes while it is read waits for that. False when it was just read. Raises as
        ``reread``."""
        if self._rereading is None:
            if not self._may_reread():
                return False
            self._rereading = asyncio.create_task(self._reread_all())
        await asyncio.shield(self._rereading)
        return True

    def _may_reread(self) -> bool:
        """Not when it was just read; raises what was said then."""
        if time.monotonic() - self._refreshed < 1.0:
            if self._unread is not None:
                raise DatabaseError(self._unread)
            return False
        self._refreshed, self._unread = time.monotonic(), None
        return True

    async def _reread_all(self) -> None:
        try:
            await self.keeper.refresh()
        except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            self._unread = _unread(failure_of(error))
            raise DatabaseError(self._unread) from error
        finally:
            self._rereading = None
        self._tell_watcher()

    def _adopt(self, known: Relation | None, fresh: Relation | None) -> None:
        state = self.keeper.state
        if fresh is None:
            if known is not None and known.oid in state.snapshot.relations:
                seen = Sighting.of(state.snapshot.scope, known)
                self.keeper.swap(state.without_relation(known.oid), seen)
                self._tell_watcher(seen)
            return
        before = state.snapshot.relations.get(fresh.oid)
        if before != fresh:
            sightings = [Sighting.of(state.snapshot.scope, relation) for relation in (before, fresh) if relation is not None]
            self.keeper.swap(state.with_relation(before, fresh), *sightings)
            self._tell_watcher(*sightings)

    def _adopt_enums(self, enums: tuple[EnumType, ...]) -> None:
        state = self.keeper.state
        pairs = [(state.snapshot.enums.get(enum.oid), enum) for enum in enums]
        sightings = [LabelSighting.of(state.snapshot.scope, each) for pair in pairs if pair[0] != pair[1] for each in pair if each]
        if sightings:
            self.keeper.swap(state.with_enums(enums), *sightings)
            self._tell_watcher(*sightings)

    def _tell_watcher(self, *seen: Seen) -> None:
        task = asyncio.ensure_future(self._ask_for_capture(seen))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _ask_for_capture(self, seen: tuple[Seen, ...]) -> None:
        """Stores what was seen, so that it survives us, and asks for a capture, in one transaction."""
        try:
            async with self.control.connection() as connection, connection.transaction():
                for sighting in seen:
                    await connection.execute(_SIGHTING, msgspec.json.encode(sighting).decode())
                await connection.execute("SELECT pg_notify('mendgate_capture', 'in_band')")
        except (DatabaseError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            log.warning("could not tell the schema watcher: %s", error)

    async def _keep_house(self) -> None:
        while True:
            await asyncio.sleep(15)
            await self._flush_used()

    async def _flush_used(self) -> None:
        used, self.auth.used = self.auth.used, set()
        if not used:
            return
        try:
            async with self.control.connection() as connection:
                await connection.execute(_USED, list(used))
        except (DatabaseError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError) as error:
            log.warning("could not note when keys were last used: %s", error)


def _unread(failure: Failure) -> Failure:
    """Names that the catalog does not know may be new: without reading it again nobody can tell."""
    return Failure("MG503", "The schema cannot be read again now; nothing was written.", f"{failure.code}: {failure.message}", AGAIN)


def _enums_of(relation: Relation) -> list[int]:
    return [column.enum for column in relation.columns if column.enum is not None]
