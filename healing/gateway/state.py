"""What a gateway process knows, as one immutable value swapped whole: schema and lineage, rules, policies, keys.

``Keeper`` loads it from the control database, listens for changes (``mendgate_snapshot``), and reloads everything when the
listening connection had dropped. The control database may be away: the last state stays in force.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from healing.core.quick import Shape
from healing.core.types import Healing, Rule
from healing.core.vet import Vet, compile_vet
from healing.gateway.auth import Key
from healing.gateway.settings import Settings
from schema_monitor import catalog, store
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import EnumType, Relation, Snapshot

log = logging.getLogger("mendgate.state")

CHANNEL = "mendgate_snapshot"
_RULES = """SELECT id::text, schema, "table", operation, signature, fix::text, source FROM healing_rule WHERE state = 'active' ORDER BY approved_at"""
_POLICIES = """SELECT schema, "table", key_id::text AS key, healing, quarantine, strict, allow_tx_rollback FROM healing_policy"""
_KEYS = """SELECT id::text, name, role, scopes::text, extract(epoch FROM expires_at)::float8 AS expires_at, hash FROM healing_apikey WHERE revoked_at IS NULL"""


class Policy(Struct, frozen=True):
    """What may be done to a write."""

    healing: Healing = Healing.APPROVED
    accept: bool = False
    strict: bool = False
    allow_tx_rollback: bool = False


class State(Struct, frozen=True):
    """Immutable; ``vets`` is a cache by relation fingerprint and oid, filled on first use."""

    epoch: int
    snapshot: Snapshot
    lineage: Lineage
    rules: dict[tuple[str, str], tuple[Rule, ...]] = field(default_factory=dict)
    policies: dict[tuple[str, str, str | None], Policy] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    vets: dict[int, Vet] = field(default_factory=dict)
    shapes: dict[object, Shape | None] = field(default_factory=dict)
    """what sets of keys mean, filled on first use; as true as this state is."""

    def vet(self, relation: Relation) -> Vet:
        """The compiled vet of a relation."""
        found = self.vets.get(relation.oid)
        if found is None:
            found = self.vets[relation.oid] = compile_vet(relation, self.snapshot, self.lineage)
        return found

    def policy(self, schema: str, table: str, key: str | None) -> Policy:
        """The most specific policy: key and table, table, key, everywhere."""
        for place in (
            (schema, table, key),
            ("", table, key),
            (schema, table, None),
            ("", table, None),
            (schema, "", key),
            ("", "", key),
            (schema, "", None),
            ("", "", None),
        ):
            found = self.policies.get(place)
            if found is not None:
                return found
        return Policy()

    def rules_for(self, schema: str, table: str, operation: str) -> tuple[Rule, ...]:
        """Active rules for a live relation, the table's own before the schema's."""
        found = self.rules.get((schema, table), ()) + self.rules.get((schema, ""), ())
        return tuple(rule for rule in found if not rule.operation or rule.operation == operation) if found else ()

    def with_relation(self, old: Relation | None, new: Relation) -> State:
        """The state after one relation was read again."""
        relations = {**self.snapshot.relations, new.oid: new}
        snapshot = replace(self.snapshot, relations=relations)
        return replace(self, snapshot=snapshot, lineage=self.lineage.advance_relation(old, new), vets={}, shapes={})

    def with_enums(self, enums: tuple[EnumType, ...]) -> State:
        """The state after enums were read again."""
        snapshot = replace(self.snapshot, enums={**self.snapshot.enums, **{enum.oid: enum for enum in enums}})
        return replace(self, snapshot=snapshot, lineage=self.lineage.advance(self.snapshot, snapshot), vets={}, shapes={})

    def without_relation(self, oid: int) -> State:
        """The state after a relation turned out to be gone."""
        relations = {key: value for key, value in self.snapshot.relations.items() if key != oid}
        return replace(self, snapshot=replace(self.snapshot, relations=relations), vets={}, shapes={})


def _nothing() -> None:
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
        self.on_keys_changed: Callable[[], None] = _nothing

    @property
    def ready(self) -> bool:
        return self._state is not None

    @property
    def state(self) -> State:
        """The current state. Raises ``RuntimeError`` before the first load."""
        if self._state is None:
            raise RuntimeError("The schema has not been loaded yet.")
        return self._state

    def swap(self, state: State) -> None:
        """Puts a new state in force."""
        self._state = state

    async def start(self, listen: bool = True) -> None:
        """Loads what can be loaded now; keeps trying in the background."""
        await self._connect_once()
        if self._state is None:
            await self._from_target()
        if listen:
            self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._control is not None and not self._control.is_closed():
            await self._control.close(timeout=2)

    async def find_key(self, digest: str) -> Key | None:
        """A key by its hash: from memory, else from the control database (a key may be milliseconds old)."""
        if self._state is not None and (known := self._state.keys.get(digest)) is not None:
            return known
        loop = asyncio.get_running_loop()
        if self._missed.get(digest, 0.0) > loop.time():
            return None
        try:
            await self._reload("keys")
        except _GONE as error:
            log.warning("control database unreachable while looking up a key: %s", error)
        if len(self._missed) > 10_000:
            self._missed.clear()
        found = self._state.keys.get(digest) if self._state else None
        if found is None:
            self._missed[digest] = loop.time() + 1.0
        return found

    async def refresh(self) -> None:
        """Reads the whole catalog of the target now (the caller limits how often)."""
        await self._from_target()

    async def _keep(self) -> None:
        pause = 0.2
        while True:
            await asyncio.sleep(pause)
            if self._control is not None and not self._control.is_closed():
                try:
                    await asyncio.wait_for(self._control.execute("SELECT 1"), 5)
                    pause = 5.0
                    continue
                except Exception:  # noqa: BLE001 - any trouble on this connection means: connect again
                    self._control.terminate()
            await self._connect_once()
            pause = 0.2 if self._control is not None else min(pause * 2, 5.0)
            if self._state is None:
                await self._from_target()

    async def _connect_once(self) -> None:
        """LISTEN first, then load: nothing between the two is missed."""
        self._control = None
        try:
            connection = await asyncpg.connect(self._settings.database_url, timeout=5, server_settings={"application_name": "mendgate state"})
            await connection.add_listener(CHANNEL, self._on_notify)
            self._control = connection
            for part in ("schema", "rules", "policies", "keys"):
                await self._reload(part)
        except _GONE as error:
            log.warning("control database unreachable, going on with what is known: %s", error)

    def _on_notify(self, _connection: Any, _pid: int, _channel: str, payload: object) -> None:
        part = str(payload).partition(":")[0]
        task = asyncio.ensure_future(self._reload_quietly(part))
        task.add_done_callback(lambda done: done.exception())

    async def _reload_quietly(self, part: str) -> None:
        try:
            await self._reload(part)
        except _GONE as error:
            log.warning("could not reload %s: %s", part, error)

    async def _reload(self, part: str) -> None:
        async with self._lock:
            if self._control is None or self._control.is_closed():
                return
            if part == "schema":
                await self._load_schema(self._control)
            elif self._state is not None:
                self._state = replace(self._state, **await _load_part(self._control, part), shapes={})
                if part == "keys":
                    self._missed.clear()
                    self.on_keys_changed()

    async def _load_schema(self, control: asyncpg.Connection) -> None:
        latest = await store.load_latest(control)
        if latest is None:
            return
        epoch, snapshot, lineage = latest
        before = self._state
        if before is None:
            self._state = State(epoch, snapshot, lineage)
        elif epoch >= before.epoch:
            self._state = replace(before, epoch=epoch, snapshot=snapshot, lineage=lineage, vets={}, shapes={})

    async def _from_target(self) -> None:
        """The catalog straight from the target: at first start, or when no stored version can be had."""
        try:
            connection = await asyncpg.connect(self._settings.target_database_url, timeout=5)
        except _GONE as error:
            log.warning("target database unreachable: %s", error)
            return
        try:
            snapshot = await catalog.read_snapshot(connection, self._settings.exposed_schemas)
        finally:
            await connection.close(timeout=2)
        async with self._lock:
            if self._state is None:
                self._state = State(0, snapshot, Lineage.start(snapshot))
                if self._control is not None:
                    parts = [await _load_part(self._control, part) for part in ("rules", "policies", "keys")]
                    self._state = replace(self._state, **{k: v for part in parts for k, v in part.items()})
            else:
                lineage = self._state.lineage.advance(self._state.snapshot, snapshot)
                self._state = replace(self._state, snapshot=snapshot, lineage=lineage, vets={}, shapes={})


_GONE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, asyncio.TimeoutError)


async def _load_part(control: asyncpg.Connection, part: str) -> dict[str, Any]:
    match part:
        case "rules":
            return {"rules": _rules(await control.fetch(_RULES))}
        case "policies":
            return {"policies": _policies(await control.fetch(_POLICIES))}
        case "keys":
            return {"keys": _keys(await control.fetch(_KEYS))}
    return {}


def _rules(records: list[Any]) -> dict[tuple[str, str], tuple[Rule, ...]]:
    rules: dict[tuple[str, str], tuple[Rule, ...]] = {}
    for r in records:
        fix = tuple(msgspec.json.decode(r["fix"]))
        rule = Rule(r["id"], r["schema"], r["table"], r["operation"], r["signature"], fix, r["source"])
        place = (rule.schema, rule.table)
        rules[place] = (*rules.get(place, ()), rule)
    return rules


def _policies(records: list[Any]) -> dict[tuple[str, str, str | None], Policy]:
    return {
        (r["schema"], r["table"], r["key"]): Policy(
            Healing(r["healing"]), r["quarantine"] == "accept", r["strict"], r["allow_tx_rollback"]
        )
        for r in records
    }


def _keys(records: list[Any]) -> dict[str, Key]:
    return {
        r["hash"]: Key(r["id"], r["name"], r["role"], tuple(msgspec.json.decode(r["scopes"])), r["expires_at"]) for r in records
    }
