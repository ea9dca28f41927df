"""Keeps a gateway's state current.

``Keeper`` loads it from the control database, listens for changes (``mendgate_snapshot``), and reloads everything when the
listening connection had dropped. The control database may be away: the last state stays in force.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import asyncpg

from healing.gateway import missed, parts
from healing.gateway.auth import Key
from healing.gateway.certified import NOTHING, REFUSED, TALLIES, certificate_of
from healing.gateway.errors import DialectError
from healing.gateway.learned import Learned
from healing.gateway.remembered import Memory, load
from healing.gateway.settings import Settings
from healing.gateway.state import State
from metrics.core.observation import Invalidated
from metrics.recorder import observe
from schema_monitor import catalog, pooled
from schema_monitor.core.lineage import Lineage, Seen
from schema_monitor.core.snapshot import EnumType, Relation, Snapshot

log = logging.getLogger("mendgate.state")

CHANNEL = "mendgate_snapshot"
_GONE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError, asyncio.TimeoutError)


def _nothing() -> None:
    """Nobody wants to know."""


def _ignore(_: object) -> None:
    """Nobody wants to know."""


class Keeper:
    """Keeps ``state`` current. ``start`` needs the target or a stored version; it never needs both databases."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._state: State | None = None
        self._task: asyncio.Task[None] | None = None
        self._control: asyncpg.Connection | None = None
        self._lock = asyncio.Lock()
        self._missed: dict[str, float] = {}
        self._parts = parts.Parts()
        self._known = False
        """the control database was read, now or (from disk) before."""
        self._tasks: set[asyncio.Task[bool]] = set()
        self._memory = Memory(settings.home, lambda: self._parts)
        self._learned = Learned()
        self._certificate = NOTHING
        self._sums: dict[str, str] = {}
        """of the parts, as they were when they were loaded."""
        self.on_keys_changed: Callable[[], None] = _nothing
        self.on_version: Callable[[Iterable[int]], None] = _ignore
        """called with the oids whose own reading was put above a stored version: it may be older or newer than that."""

    @property
    def ready(self) -> bool:
        return self._state is not None

    @property
    def state(self) -> State:
        """The current state. Raises ``RuntimeError`` before the first load."""
        if self._state is None:
            raise RuntimeError("The schema has not been loaded yet.")
        return self._state

    def swap(self, state: State, *seen: Seen) -> None:
        """Puts a new state in force. ``seen``: what was learned in band; it outlives the next stored version."""
        self._state = state
        self._learned.saw(*seen)

    def learn(self, found: Mapping[int, Relation | None], enums: tuple[EnumType, ...], seen: Iterable[Seen], horizon: int) -> None:
        """Puts in force what was read of relations (None = gone) and enums by identity after a look at the DDL log, and what the log
        tells of their names. It outlives stored versions that are older."""
        old = self.state
        state, told = self._learned.learn(old, found, enums, seen, horizon)
        if state is not old:
            self.swap(state, *told)

    async def start(self, listen: bool = True) -> None:
        """Loads what can be loaded now; keeps trying in the background."""
        await self._connect_once()
        if not self._known and (remembered := load(self._settings.home)) is not None:
            self._parts, self._known = remembered, True
            self._adopt_schema(remembered.schema)
        if self._state is None:
            await self._from_target()
        self._adopt_parts()
        if listen:
            self._memory.begin()
            self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await self._memory.end()
        if self._control is not None and not self._control.is_closed():
            await self._control.close(timeout=2)

    async def find_key(self, digest: str) -> Key | None:
        """A key by its hash: from memory, else from the control database (a key may be milliseconds old)."""
        if (known := self._parts.keys.get(digest)) is not None:
            return known
        loop = asyncio.get_running_loop()
        if self._missed.get(digest, 0.0) > loop.time():
            return None
        stored = await self._is_stored(digest)
        if stored is None or (stored and not await self._reload_quietly("keys")):
            hint = "The control database does not answer. Try again shortly."
            raise DialectError("MG503", 503, "This API key cannot be checked now", None, hint, (("Retry-After", "1"),))
        found = self._parts.keys.get(digest)
        if found is None:
            if len(self._missed) > 10_000:
                self._missed.clear()
            self._missed[digest] = loop.time() + 1.0
        return found

    async def _is_stored(self, digest: str) -> bool | None:
        """Whether such a key is in force; None where that cannot be asked. Anybody can make keys up: one costs a look into an index, and
        only one that there is has all of them read anew."""
        async with self._lock:
            control = self._control
            if control is None or control.is_closed():
                return None
            try:
                return bool(await control.fetchval(parts.IS_KEY, digest))
            except _GONE as error:
                log.warning("could not look for a key: %s", error)
                return None

    async def refresh(self) -> None:
        """Reads the whole catalog of the target now (the caller limits how often). Raises what the driver raises where it cannot."""
        connection = await pooled.connect(self._settings.target_database_url)
        try:
            snapshot = await catalog.read_snapshot(connection, self._settings.exposed_schemas)
        finally:
            await connection.close(timeout=2)
        async with self._lock:
            if self._state is None:
                self._state = State(0, snapshot, Lineage.start(snapshot))
            else:
                lineage = self._state.lineage.advance(self._state.snapshot, snapshot)
                self._state = self._state.with_version(self._state.epoch, snapshot, lineage)

    async def look(self) -> None:
        """Reads what changed since, for who does not listen all the time."""
        if await self._alive():
            await self._look()
        else:
            await self._connect_once()

    async def _keep(self) -> None:
        pause = 0.2
        while True:
            await asyncio.sleep(pause)
            if await self._alive():
                pause = await self._look()
                continue
            await self._connect_once()
            pause = 0.2 if self._control is not None else min(pause * 2, 5.0)
            if self._state is None:
                await self._from_target()
                self._adopt_parts()

    async def _alive(self) -> bool:
        """Whether the listening connection still answers; one that does not is cut."""
        async with self._lock:
            control = self._control
            if control is None or control.is_closed():
                return False
            try:
                await asyncio.wait_for(control.execute("SELECT 1"), 5)
            except _GONE:
                control.terminate()
                return False
            return True

    async def _look(self) -> float:
        """Reads again what was changed without our hearing of it; the seconds until the next look."""
        loop = asyncio.get_running_loop()
        cost = 0.0
        for part, sql in parts.SUMS.items():
            async with self._lock:
                control, began = self._control, loop.time()
                if control is None or control.is_closed():
                    return 0.2
                try:
                    now = await missed.ask(control, sql)
                except _GONE as error:
                    log.warning("could not look for changes of %s: %s", part, error)
                    return missed.LOOK_EVERY
                cost += loop.time() - began
            if now != self._sums.get(part):
                log.info("%s changed, and no notification was heard of yet: read again", part)
                await self._reload_quietly(part)
        return missed.pause_after(cost)

    async def _connect_once(self) -> None:
        """LISTEN first, then load: nothing between the two is missed. Who is not told of reversals certifies nothing."""
        self._control = None
        if self._certificate is not NOTHING:
            self._certificate = NOTHING
            self._adopt_parts()
        try:
            connection = await pooled.connect(self._settings.database_url, server_settings={"application_name": "mendgate state"})
            await connection.add_listener(CHANNEL, self._on_notify)
            self._control = connection
            for part in parts.PARTS:
                await self._reload(part)
            self._known = True
        except _GONE as error:
            log.warning("control database unreachable, going on with what is known: %s", error)

    def _on_notify(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        part = str(payload).partition(":")[0]
        task = asyncio.ensure_future(self._reload_quietly(part))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _reload_quietly(self, part: str) -> bool:
        try:
            return await self._reload(part)
        except _GONE as error:
            log.warning("could not reload %s: %s", part, error)
            return False

    async def _reload(self, part: str) -> bool:
        """Reads one part anew. False when there is no connection."""
        async with self._lock:
            control = self._control
            if control is None or control.is_closed():
                return False
            self._sums |= await parts.sums_of(control, part)
            await parts.read(control, part, self._parts)
            if part in ("rules", "certified"):  # the fix of a rule that was ended is refused from now on
                await self._load_certificate(control)
            elif part == "schema":
                self._adopt_schema(self._parts.schema)
            elif part == "keys":
                self._missed.clear()
            self._adopt_parts()
            if part == "keys":
                self.on_keys_changed()
        self._memory.changed()
        return True

    async def _load_certificate(self, control: asyncpg.Connection) -> None:
        if not pooled.is_deaf(control):  # who hears of reversals late certifies nothing either
            self._certificate = certificate_of(await control.fetch(TALLIES), await control.fetch(REFUSED))

    def _adopt_schema(self, version: tuple[int, Snapshot, Lineage] | None) -> None:
        if version is None:
            return
        epoch, snapshot, lineage = version
        if self._state is None:
            self._state = self._overlaid(State(epoch, snapshot, lineage))
        elif epoch >= self._state.epoch:
            if epoch > self._state.epoch:
                observe(Invalidated("schema"))
            self._state = self._overlaid(self._state.with_version(epoch, snapshot, lineage))

    def _overlaid(self, state: State) -> State:
        state, oids = self._learned.over(state)
        self.on_version(oids)
        return state

    def _adopt_parts(self) -> None:
        """Puts the parts in force, once there is a schema to use them with."""
        if self._state is not None:
            self._state = parts.in_force(self._state, self._parts, self._certificate)

    async def _from_target(self) -> None:
        """The catalog straight from the target: at first start, or when no stored version can be had."""
        try:
            await self.refresh()
        except _GONE as error:
            log.warning("target database cannot be read: %s", error)
