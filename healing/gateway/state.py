"""What a gateway process knows, as one immutable value swapped whole: schema and lineage, rules, policies, keys.

``Keeper`` loads it from the control database, listens for changes (``mendgate_snapshot``), and reloads everything when the
listening connection had dropped. The control database may be away: the last state stays in force.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeVar

import asyncpg
import msgspec
from msgspec import Struct, field
from msgspec.structs import replace

from breakers import stored
from healing.core.types import Healing, Rule
from healing.core.vet import Vet, compile_vet
from healing.gateway import missed, tuned
from healing.gateway.auth import Key, Quota
from healing.gateway.certified import NOTHING, REFUSED, TALLIES, Certificate, certificate_of
from healing.gateway.errors import DialectError
from healing.gateway.remembered import load, save
from healing.gateway.settings import Settings
from healing.gateway.settled import Settled
from metrics.core.observation import Invalidated
from metrics.recorder import observe
from schema_monitor import catalog, pooled, store
from schema_monitor.core.lineage import Former, Lineage, Renamed, Seen, Sighting, former
from schema_monitor.core.snapshot import EnumType, Relation, Snapshot

log = logging.getLogger("mendgate.state")

CHANNEL = "mendgate_snapshot"
_RULES = """
SELECT id::text, schema, "table", operation, signature, fix::text, source, bound::text,
    ARRAY(SELECT d.identity FROM healing_doubt d WHERE d.rule_id = r.id) AS doubted_by FROM healing_rule r
WHERE state = 'active' ORDER BY approved_at"""
_POLICIES = """SELECT schema, "table", key_id::text AS key, healing, quarantine, strict, allow_tx_rollback FROM healing_policy"""
_KEYS = """
SELECT id::text, name, role, scopes::text, extract(epoch FROM expires_at)::float8 AS expires_at, hash,
    requests_per_minute, at_once, most_bytes FROM healing_apikey
WHERE revoked_at IS NULL"""
_RETIRED = "SELECT relation_oid, attnum, enum_oid, label_oid, schema, name FROM schema_monitor_retiredname"

_SUMS = {
    "schema": missed.sum_of("SELECT max(epoch) FROM schema_monitor_schemaversion"),
    "rules": missed.sum_of(_RULES),
    "certified": missed.sum_of(TALLIES, REFUSED),
    "policies": missed.sum_of(_POLICIES),
    "keys": missed.sum_of(_KEYS),
    "retired": missed.sum_of(_RETIRED),
    "breakers": missed.sum_of(stored.SQL),
    tuned.PART: missed.sum_of(tuned.SQL),
}
"""What tells by itself that a part has changed."""
_LOADED_WITH = {"rules": ("rules", "certified")}
_MOST_SIGHTINGS = 500
_PARTS = ("schema", "rules", "policies", "keys", "certified", "retired", "breakers", tuned.PART)
P = TypeVar("P")


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
    bound: dict[int, tuple[Rule, ...]] = field(default_factory=dict)
    """the same rules by the oid of the relation they were approved for."""
    policies: dict[tuple[str, str, str | None], Policy] = field(default_factory=dict)
    keys: dict[str, Key] = field(default_factory=dict)
    certificate: Certificate = NOTHING
    former: dict[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    """columns of tables, by schema and name, as they were in the database that was served before this one (restored, branched): there
    lineage ends, and callers may not know it."""
    vets: dict[int, Vet] = field(default_factory=dict)
    settled: dict[object, Settled | None] = field(default_factory=dict)
    """what inserts of known shapes need, filled on first use; as true as this state is."""
    serving: dict[tuple[int, str], tuple[Relation, tuple[Rule, ...]]] = field(default_factory=dict)
    """the rules for a relation (by oid) and an operation, and the relation as it was when they were found; filled on first use."""
    doubts: bool = False
    """some rule is not used for some caller."""

    def vet(self, relation: Relation) -> Vet:
        """The compiled vet of a relation."""
        found = self.vets.get(relation.oid)
        if found is None:
            found = self.vets[relation.oid] = compile_vet(relation, self.snapshot, self.lineage)
        return found

    def policy(self, schema: str, table: str, key: str | None) -> Policy:
        """The most specific policy: key and table, table, key, everywhere. A former name means the table that had it."""
        tables = [table, ""]
        if not self.snapshot.named(schema, table):
            match self.lineage.resolve_relation(self.snapshot, schema, table):
                case Renamed(Relation() as relation) if relation.schema == schema:
                    tables.insert(0, relation.name)
        for name in tables if self.policies else ():
            for place in ((schema, name, key), ("", name, key), (schema, name, None), ("", name, None)):
                if (found := self.policies.get(place)) is not None:
                    return found
        return Policy()

    def former_columns(self, relation: Relation | None) -> tuple[str, ...] | None:
        """The columns that a relation had in the database that was served before; None where nothing is known."""
        return None if relation is None else self.former.get((relation.schema, relation.name))

    def rules_for(self, relation: Relation, operation: str, identity: str = "") -> tuple[Rule, ...]:
        """Active rules for a live relation and a caller, the table's own before the schema's. A rule whose names have come to mean other
        columns than those that were approved does not count; one that was approved for this table does, whatever the table is called."""
        if not self.rules:
            return ()
        known, found = self.serving.get((relation.oid, operation), (None, ()))
        if known is not relation:
            found = self._rules_for(relation, operation)
            self.serving[relation.oid, operation] = relation, found
        return tuple([rule for rule in found if identity not in rule.doubted_by]) if self.doubts else found

    def _rules_for(self, relation: Relation, operation: str) -> tuple[Rule, ...]:
        own = self.bound.get(relation.oid, ()) + self.rules.get((relation.schema, relation.name), ())
        found = {rule.id: rule for rule in own + self.rules.get((relation.schema, ""), ())}
        return tuple([rule for rule in found.values() if rule.operation in ("", operation) and rule.binds(relation)])

    def table_rules(self, schema: str, table: str, operation: str, identity: str = "") -> tuple[Rule, ...]:
        """Active rules for a name that no relation has."""
        return tuple(rule for rule in self.rules.get((schema, table), ()) if rule.serves(operation, identity))

    def with_relation(self, old: Relation | None, new: Relation) -> State:
        """The state after one relation was read again."""
        relations = {**self.snapshot.relations, new.oid: new}
        snapshot = replace(self.snapshot, relations=relations)
        return replace(self, snapshot=snapshot, lineage=self.lineage.advance_relation(old, new), vets={}, settled={})

    def with_enums(self, enums: tuple[EnumType, ...]) -> State:
        """The state after enums were read again; the same state where that is no news."""
        if all(self.snapshot.enums.get(enum.oid) == enum for enum in enums):
            return self
        snapshot = replace(self.snapshot, enums={**self.snapshot.enums, **{enum.oid: enum for enum in enums}})
        return replace(self, snapshot=snapshot, lineage=self.lineage.advance(self.snapshot, snapshot), vets={}, settled={})

    def with_found(self, oid: int, found: Relation | None) -> State:
        """The state after a relation was read by its identity: as it is, or gone; the same state where that is no news. One that is
        neither served nor referred to stays unknown."""
        known = self.snapshot.relations.get(oid)
        if found == known or (found is not None and known is None and not self.snapshot.serves(found)):
            return self
        return self.without_relation(oid) if found is None else self.with_relation(known, found)

    def without_relation(self, oid: int) -> State:
        """The state after a relation turned out to be gone."""
        relations = {key: value for key, value in self.snapshot.relations.items() if key != oid}
        return replace(self, snapshot=replace(self.snapshot, relations=relations), vets={}, settled={})


def former_of(old: State, new: Snapshot) -> dict[tuple[str, str], tuple[str, ...]]:
    """What is to be remembered of the old database once another is served; what is known already, while it is the same."""
    if new.scope == old.snapshot.scope:
        return old.former
    now = {(r.schema, r.name): tuple(c.name for c in r.columns) for r in new.relations.values()}
    before = {(r.schema, r.name): tuple(c.name for c in r.columns) for r in old.snapshot.relations.values()}
    return {place: columns for place, columns in before.items() if place in now and not {*columns} <= {*now[place]}}


class Parts(Struct):
    """What comes from the control database, in forms that can be stored."""

    rules: list[Rule] = []
    policies: list[tuple[str, str, str | None, Policy]] = []
    keys: dict[str, Key] = {}
    schema: tuple[int, Snapshot, Lineage] | None = None
    retired: list[Former] = []


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
        self._parts = Parts()
        self._known = False
        """the control database was read, now or (from disk) before."""
        self._tasks: set[asyncio.Task[bool]] = set()
        self._remembers = False
        self._unsaved = False
        self._sightings: list[Seen] = []
        self._learned: dict[int, tuple[int, Relation | None]] = {}
        """relations that were read by themselves, and the horizon of the look that said so."""
        self._learned_enums: dict[int, tuple[int, EnumType]] = {}
        """the same of enums."""
        self._saving: asyncio.Task[None] | None = None
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
        self._sightings = [*self._sightings, *seen][-_MOST_SIGHTINGS:]

    def learn(self, found: Mapping[int, Relation | None], enums: tuple[EnumType, ...], seen: Iterable[Seen], horizon: int) -> None:
        """Puts in force what was read of relations (None = gone) and enums by identity after a look at the DDL log, and what the log
        tells of their names. It outlives stored versions that are older."""
        old = state = self.state
        for oid, relation in found.items():
            state = state.with_found(oid, relation)
            self._learned[oid] = (horizon, relation)
        state = state.with_enums(enums)
        self._learned_enums |= {enum.oid: (horizon, enum) for enum in enums}
        known = old.snapshot.relations
        told = [*seen, *(Sighting.of(old.snapshot.scope, known[oid]) for oid in found if oid in known and known[oid] != found[oid])]
        lineage = state.lineage.recall(told, state.snapshot)
        if lineage != state.lineage:
            state = replace(state, lineage=lineage, vets={}, settled={})
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
        self._remembers = listen
        if listen:
            self._remember()
            self._task = asyncio.create_task(self._keep())

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._saving is not None:
            await self._saving
        if self._control is not None and not self._control.is_closed():
            await self._control.close(timeout=2)

    async def find_key(self, digest: str) -> Key | None:
        """A key by its hash: from memory, else from the control database (a key may be milliseconds old)."""
        if (known := self._parts.keys.get(digest)) is not None:
            return known
        loop = asyncio.get_running_loop()
        if self._missed.get(digest, 0.0) > loop.time():
            return None
        if not await self._reload_quietly("keys"):
            hint = "The control database does not answer. Try again shortly."
            raise DialectError("MG503", 503, "This API key cannot be checked now", None, hint, (("Retry-After", "1"),))
        if len(self._missed) > 10_000:
            self._missed.clear()
        found = self._parts.keys.get(digest)
        if found is None:
            self._missed[digest] = loop.time() + 1.0
        return found

    async def refresh(self) -> None:
        """Reads the whole catalog of the target now (the caller limits how often)."""
        await self._from_target()

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
        for part, sql in _SUMS.items():
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
            for part in _PARTS:
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
            for name in _LOADED_WITH.get(part, (part,)):  # before the rows: what comes between is read again
                self._sums[name] = await missed.ask(control, _SUMS.get(name))
            match part:
                case "schema":
                    self._parts.schema = await store.load_since(control, self._parts.schema) or self._parts.schema
                    self._adopt_schema(self._parts.schema)
                case "rules":
                    self._parts.rules = _rules(await control.fetch(_RULES))
                    await self._load_certificate(control)  # the fix of a rule that was ended is refused from now on
                case "policies":
                    self._parts.policies = _policies(await control.fetch(_POLICIES))
                case "keys":
                    self._parts.keys = _keys(await control.fetch(_KEYS))
                    self._missed.clear()
                case "breakers":
                    await _set_breakers(control)
                case tuned.PART:
                    await _set_tuned(control)
                case "certified":
                    await self._load_certificate(control)
                case "retired":
                    self._parts.retired = [former(*record) for record in await control.fetch(_RETIRED)]
            self._adopt_parts()
            if part == "keys":
                self.on_keys_changed()
        self._remember()
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
            self._state = self._overlaid(
                replace(
                    self._state,
                    epoch=epoch,
                    snapshot=snapshot,
                    lineage=lineage,
                    former=former_of(self._state, snapshot),
                    vets={},
                    settled={},
                )
            )

    def _overlaid(self, state: State) -> State:
        """A stored version with what was learned since; a look from a later horizon than the version's is surely newer, one from
        the same may be."""
        version = state.snapshot.horizon
        self._learned = {oid: (horizon, found) for oid, (horizon, found) in self._learned.items() if horizon >= version}
        for oid, (_, found) in self._learned.items():
            state = state.with_found(oid, found)
        self._learned_enums = {oid: (horizon, enum) for oid, (horizon, enum) in self._learned_enums.items() if horizon >= version}
        state = state.with_enums(tuple(enum for _, enum in self._learned_enums.values()))
        self.on_version(self._learned)
        return replace(state, lineage=state.lineage.recall(self._sightings, state.snapshot))

    def _adopt_parts(self) -> None:
        """Puts rules, policies, keys and retired names in force, once there is a schema to use them with."""
        if self._state is None:
            return
        rules = _grouped(self._parts.rules, lambda rule: (rule.schema, rule.table))
        bound = _grouped(self._parts.rules, lambda rule: rule.oid)
        bound.pop(0, None)
        policies = {(schema, table, key): policy for schema, table, key, policy in self._parts.policies}
        lineage = self._state.lineage.without(self._parts.retired)
        vets = self._state.vets if lineage.retired == self._state.lineage.retired else {}
        self._state = replace(
            self._state,
            lineage=lineage,
            rules=rules,
            bound=bound,
            policies=policies,
            keys=self._parts.keys,
            certificate=self._certificate,
            vets=vets,
            settled={},
            serving={},
            doubts=any([rule.doubted_by for rule in self._parts.rules]),
        )

    def _remember(self) -> None:
        """Saves what is known, a moment later and off the event loop; several changes are saved once, and none that comes meanwhile
        is forgotten."""
        self._unsaved = True
        if not self._remembers or (self._saving is not None and not self._saving.done()):
            return

        async def soon() -> None:
            while self._unsaved:
                await asyncio.sleep(0.5)
                self._unsaved = False
                await asyncio.to_thread(save, self._settings.home, self._parts)

        self._saving = asyncio.ensure_future(soon())

    async def _from_target(self) -> None:
        """The catalog straight from the target: at first start, or when no stored version can be had."""
        try:
            connection = await pooled.connect(self._settings.target_database_url)
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
            else:
                lineage = self._state.lineage.advance(self._state.snapshot, snapshot)
                former = former_of(self._state, snapshot)
                self._state = replace(self._state, snapshot=snapshot, lineage=lineage, former=former, vets={}, settled={})


_GONE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, TimeoutError, asyncio.TimeoutError)


async def _set_breakers(control: asyncpg.Connection) -> None:
    """What people have set of breakers; a fault of it keeps nothing else from being known."""
    try:
        stored.put_in_force(await control.fetch(stored.SQL))
    except (asyncpg.UndefinedTableError, ValueError) as error:
        log.warning("breakers go by what the code says: %s", error)


async def _set_tuned(control: asyncpg.Connection) -> None:
    """What the optimizer has set and tries."""
    with contextlib.suppress(asyncpg.UndefinedTableError):
        tuned.live.adopt(await control.fetch(tuned.SQL))


def _grouped(rules: Iterable[Rule], place: Callable[[Rule], P]) -> dict[P, tuple[Rule, ...]]:
    """Rules by place, in their order."""
    found: dict[P, list[Rule]] = {}
    for rule in rules:
        found.setdefault(place(rule), []).append(rule)
    return {where: tuple(these) for where, these in found.items()}


def _rules(records: list[Any]) -> list[Rule]:
    return [_rule(record, msgspec.json.decode(record["bound"])) for record in records]


def _rule(r: Any, bound: dict[str, Any]) -> Rule:
    fix = tuple(msgspec.json.decode(r["fix"]))
    place = (r["id"], r["schema"], r["table"], r["operation"], r["signature"])
    return Rule(*place, fix, r["source"], bound.get("oid", 0), bound.get("columns", {}), frozenset(r["doubted_by"]))


def _policies(records: list[Any]) -> list[tuple[str, str, str | None, Policy]]:
    return [
        (
            r["schema"],
            r["table"],
            r["key"],
            Policy(Healing(r["healing"]), r["quarantine"] == "accept", r["strict"], r["allow_tx_rollback"]),
        )
        for r in records
    ]


def _keys(records: list[Any]) -> dict[str, Key]:
    return {r["hash"]: _key_of(r) for r in records}


def _key_of(record: Any) -> Key:
    limits = (record["requests_per_minute"], record["at_once"], record["most_bytes"])
    scopes = tuple(msgspec.json.decode(record["scopes"]))
    return Key(record["id"], record["name"], record["role"], scopes, record["expires_at"], Quota(*limits) if any(limits) else None)
