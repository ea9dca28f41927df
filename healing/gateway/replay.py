"""Replays of quarantined writes: the stored request through the same pipeline, as the original role and claims, once.

Exactly once: under the request's own Idempotency-Key where it had one, else under the item's id; the record is written by the same
transaction as the row, so a worker that dies after the commit finds the answer when it comes back.
"""

from __future__ import annotations

import base64
import logging
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from healing.gateway import newer, watch
from healing.gateway.answer import Answer
from healing.gateway.assisted import RUN, Assisted, assisted_of
from healing.gateway.auth import Caller, Key, make_caller
from healing.gateway.errors import DialectError
from healing.gateway.idempotency import Claim, make_claim
from healing.gateway.kept import Envelope, without_value
from healing.gateway.request import PREFIX, Request, parse
from healing.gateway.seal import unseal
from healing.gateway.services import Services
from healing.gateway.target import DatabaseError
from healing.gateway.write import write

log = logging.getLogger("mendgate.replay")

REPLAYER = "mendgate:replay"
_ITEM = """SELECT id::text, request, key_id::text AS key, role, claims, idempotency_key, row_versions, schema, "table", operation,
    assist_id::text AS assist, attempts
FROM healing_quarantineitem WHERE id = ANY($1::text[]::uuid[])"""
DATABASES = (DatabaseError, OSError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, TimeoutError)
"""What is the databases' fault, and not a write's."""


class Opened(Struct, frozen=True):
    """A kept write as it came, ready to be run again. ``horizon``: '' or where newer writes to its rows begin."""

    id: str
    envelope: Envelope
    caller: Caller
    request: Request
    claim: Claim
    horizon: str
    assisted: Assisted | None = None
    attempts: int = 0


class ReplayResult(Struct, frozen=True):
    """``outcome``: replayed | failed | conflict (a newer write touched the row) | unavailable (try again later) | untried. ``error`` has
    the four keys of the dialect, or is None."""

    outcome: str
    status: int
    receipt: str | None = None
    error: dict[str, Any] | None = None


async def replay_opened(services: Services, opened: Opened) -> ReplayResult:
    """Replays one item by itself. Never raises for what the databases say."""
    try:
        return await _replay(services, opened)
    except DialectError as error:
        return _told(_of_error(error))
    except DATABASES as error:
        return broken("unavailable", str(error))


async def open_item(services: Services, item_id: str) -> Opened | None:
    """A kept write, unsealed, with the AI's proven fix where it is to land with one; None where there is no such write. Raises what the
    databases raise, and what a write that cannot be opened raises."""
    async with services.control.connection() as connection:
        item = await connection.fetchrow(_ITEM, [item_id])
        run = await connection.fetchrow(RUN, item["assist"]) if item is not None and item["assist"] else None
    return None if item is None else _open(services, item, run)


async def open_items(services: Services, ids: Sequence[str]) -> dict[str, Opened | ReplayResult]:
    """The kept writes by their ids; in place of one that cannot be opened what is to be said of it. Raises what the databases raise."""
    async with services.control.connection() as connection:
        items = await connection.fetch(_ITEM, ids)
        runs = {run: await connection.fetchrow(RUN, run) for run in {item["assist"] for item in items if item["assist"]}}
    return {item["id"]: _opened(services, item, runs.get(item["assist"])) for item in items}


def _opened(services: Services, item: asyncpg.Record, run: asyncpg.Record | None) -> Opened | ReplayResult:
    try:
        return _open(services, item, run)
    except DialectError as error:
        return _told(_of_error(error))
    except Exception as error:  # damaged, or sealed with a secret that is gone: it must not keep the others waiting
        log.exception("the kept write %s cannot be opened", item["id"])
        return _told(
            ReplayResult("failed", 500, error=_error("MG500", f"The replay broke: {type(error).__name__}", "See the worker's log."))
        )


def _open(services: Services, item: asyncpg.Record, run: asyncpg.Record | None) -> Opened:
    envelope, caller = _envelope(item["request"]), _caller(item)
    path = envelope.path.removeprefix(PREFIX)
    request = parse(envelope.method, path, envelope.query, envelope.headers, services.settings.exposed_schemas)
    claim, assisted = _claim(item, caller, envelope), assisted_of(run) if run else None
    return Opened(item["id"], envelope, caller, request, claim, item["row_versions"], assisted, item["attempts"])


async def _replay(services: Services, opened: Opened) -> ReplayResult:
    if not await services.has_our_schema():
        hint = "Install it with: python manage.py doctor --fix"
        return ReplayResult("unavailable", 503, error=_error("MG501", "A replay needs the schema mendgate in the target", hint))
    if await is_late(services, opened):
        return _told(ReplayResult("conflict", 409, error=_error("MG409", "A newer write touched the same row since this one was kept")))
    answer = await carry_out(services, opened)
    watch.replayed("landed", answer.deed)
    return ReplayResult("replayed", answer.status, dict(answer.headers).get("Mendgate-Receipt"))


async def is_late(services: Services, opened: Opened) -> bool:
    """Whether a newer write touched a row of it, and it has not been carried out before."""
    seen = opened.horizon
    if not seen or await _answered(services, opened.claim):
        return False
    return await newer.touched_since(services, opened.request, opened.envelope, opened.caller, int(seen))


async def carry_out(services: Services, opened: Opened) -> Answer:
    """Writes it, once, as whoever sent it. Raises ``DialectError`` where it still does not land."""
    return await write(services, opened.request, opened.envelope, opened.caller, replaying=opened.claim, assisted=opened.assisted)


async def _answered(services: Services, claim: Claim) -> bool:
    """Whether this replay was already carried out."""
    async with services.pool.connection() as connection:
        sql = "SELECT EXISTS (SELECT FROM mendgate.idempotency WHERE caller = $1 AND key = $2)"
        return bool(await connection.fetchval(sql, claim.caller, claim.key))


def _claim(item: asyncpg.Record, caller: Caller, envelope: Envelope) -> Claim:
    own = item["idempotency_key"]
    who, key = (caller.identity, own) if own else (REPLAYER, item["id"])
    return make_claim(who, key, envelope.method, envelope.path, envelope.query, envelope.body, envelope.profile)


def _envelope(sealed: bytes) -> Envelope:
    parts: Mapping[str, Any] = msgspec.json.decode(unseal(sealed))
    body = base64.b64decode(parts["body"])
    return Envelope(parts["method"], parts["path"], parts["query"].encode("latin-1"), parts["headers"], body)


def _caller(item: asyncpg.Record) -> Caller:
    """The original caller: role and claims as they were verified when the write came."""
    claims = msgspec.json.decode(unseal(item["claims"]))
    key = Key(item["key"], "", item["role"]) if item["key"] else None
    return make_caller(key, item["role"], claims)


def _of_error(error: DialectError) -> ReplayResult:
    outcome = (
        "unavailable"
        if error.status in (409, 503, 504) and error.code.startswith(("MG409", "MG5", "08", "53", "57P", "PGRST00"))
        else "failed"
    )
    body = msgspec.json.decode(error.to_body())
    return ReplayResult(outcome, error.status, error={**body, "message": without_value(error.code, error.message)})


def is_away(result: ReplayResult) -> bool:
    """Whether it was the target's fault: then others need not be tried. That its sender sends it again just now is not."""
    return result.outcome == "unavailable" and (result.error or {}).get("code") != "MG409"


def broken(outcome: str, why: str) -> ReplayResult:
    """One that no database had a say in."""
    status, code = (503, "MG503") if outcome == "unavailable" else (404, "MG404")
    return ReplayResult(outcome, status, error=_error(code, why))


def _error(code: str, message: str, hint: str | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "details": None, "hint": hint}


def _told(result: ReplayResult) -> ReplayResult:
    """The same, told to the metrics."""
    if result.outcome == "failed" or result.outcome == "conflict":
        watch.replayed("failed" if result.outcome == "failed" else "conflict", None)
    return result
