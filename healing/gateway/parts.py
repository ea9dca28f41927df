"""What of a gateway's state comes from the control database: its parts, the rows that each is read from, and sums that tell by themselves
that a part has changed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import asyncpg
import msgspec
from msgspec import Struct
from msgspec.structs import replace

from breakers import stored
from healing.core.types import Healing, Rule
from healing.gateway import missed, tuned
from healing.gateway.auth import Key, Quota
from healing.gateway.certified import REFUSED, TALLIES, Certificate
from healing.gateway.state import Policy, State
from schema_monitor import store
from schema_monitor.core.lineage import Former, Lineage, former
from schema_monitor.core.snapshot import Snapshot

log = logging.getLogger("mendgate.state")

PARTS = ("schema", "rules", "policies", "keys", "certified", "retired", "breakers", tuned.PART)
"""In the order in which they are read at first; a notification names one."""
_RULES = """
SELECT id::text, schema, "table", operation, signature, fix::text, source, bound::text,
    ARRAY(SELECT d.identity FROM healing_doubt d WHERE d.rule_id = r.id) AS doubted_by FROM healing_rule r
WHERE state = 'active' ORDER BY approved_at"""
_POLICIES = """SELECT schema, "table", key_id::text AS key, healing, quarantine, strict, allow_tx_rollback FROM healing_policy"""
_KEYS = """
SELECT id::text, name, role, scopes::text, extract(epoch FROM expires_at)::float8 AS expires_at, hash,
    requests_per_minute, at_once, most_bytes FROM healing_apikey
WHERE revoked_at IS NULL"""
IS_KEY = "SELECT EXISTS (SELECT FROM healing_apikey WHERE hash = $1 AND revoked_at IS NULL)"
_RETIRED = "SELECT relation_oid, attnum, enum_oid, label_oid, schema, name FROM schema_monitor_retiredname"

SUMS = {
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
LOADED_WITH = {"rules": ("rules", "certified")}
"""The sums of what is read for a part, where it is not just its own."""
P = TypeVar("P")


class Parts(Struct):
    """What comes from the control database, in forms that can be stored."""

    rules: list[Rule] = []
    policies: list[tuple[str, str, str | None, Policy]] = []
    keys: dict[str, Key] = {}
    schema: tuple[int, Snapshot, Lineage] | None = None
    retired: list[Former] = []


async def sums_of(control: asyncpg.Connection, part: str) -> dict[str, str]:
    """The sums of what a part is read from. Ask before the rows: what comes between is then read again."""
    return {name: await missed.ask(control, SUMS.get(name)) for name in LOADED_WITH.get(part, (part,))}


async def read(control: asyncpg.Connection, part: str, known: Parts) -> None:
    """Reads one part anew into ``known``; breakers and tuned settings are put in force at once."""
    match part:
        case "schema":
            known.schema = await store.load_since(control, known.schema) or known.schema
        case "rules":
            known.rules = await asyncio.to_thread(_rules, await control.fetch(_RULES))  # a hundred thousand take a second
        case "policies":
            known.policies = _policies(await control.fetch(_POLICIES))
        case "keys":
            known.keys = _keys(await control.fetch(_KEYS))
        case "retired":
            known.retired = [former(*record) for record in await control.fetch(_RETIRED)]
        case "breakers":
            await _set_breakers(control)
        case tuned.PART:
            await _set_tuned(control)


def in_force(state: State, parts: Parts, certificate: Certificate) -> State:
    """The state with these rules, policies, keys and retired names."""
    lineage = state.lineage.without(parts.retired)
    return replace(
        state if state.listed is parts.rules else _with_rules(state, parts.rules),
        lineage=lineage,
        policies={(schema, table, key): policy for schema, table, key, policy in parts.policies},
        keys=parts.keys,
        certificate=certificate,
        vets=state.vets if lineage.retired == state.lineage.retired else {},
        settled={},
        serving={},
    )


def _with_rules(state: State, rules: list[Rule]) -> State:
    bound = _grouped(rules, lambda rule: rule.oid)
    bound.pop(0, None)
    return replace(
        state,
        listed=rules,
        rules=_grouped(rules, lambda rule: (rule.schema, rule.table)),
        bound=bound,
        doubts=frozenset().union(*[rule.doubted_by for rule in rules if rule.doubted_by]),
    )


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
