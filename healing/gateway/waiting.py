"""``Prefer: wait=<s>``: a write that was kept under policy ``assisted`` waits for the AI's proof, and lands in the same request.

    kept -> held (a lease: nobody else replays it) -> the run of its cause ends -> proven: claimed, written, settled -> 2xx
                                                                                -> else, or too late: the usual answer

Exactly once: the kept write is claimed before it is written, and written under its own idempotency record, as a replay is. If this
process dies, the lease ends; ``healing.assist.abandoned`` then finds out whether it had been written.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Coroutine
from datetime import datetime
from typing import Any

import asyncpg
from msgspec import Struct
from msgspec.structs import replace

from healing.core.types import Healing
from healing.gateway.answer import Answer, Deed
from healing.gateway.assisted import RUN, assisted_of
from healing.gateway.auth import Caller
from healing.gateway.errors import DialectError
from healing.gateway.kept import Envelope
from healing.gateway.replay import Opened, carry_out, is_late, open_item
from healing.gateway.request import Request
from healing.gateway.services import Services
from healing.gateway.target import DatabaseError
from healing.gateway.write import level_of

log = logging.getLogger("mendgate.write")

MOST_SECONDS = 30.0
MOST_WAITING = 64
"""requests that wait in one process; one more gets the usual answer at once."""
LOOK_EVERY = 0.1
GRACE = 5.0
"""seconds that a held write stays ours beyond the wait."""
LEASE_SECONDS = 60
_HOLD = """
UPDATE healing_quarantineitem SET lease_until = clock_timestamp() + make_interval(secs => $2)
WHERE id = $1::text::uuid AND state = 'waiting' AND replay_id IS NULL AND (lease_until IS NULL OR lease_until <= clock_timestamp())
RETURNING lease_until, clock_timestamp() AS since"""
_LOOK = """
SELECT (SELECT r.id::text FROM healing_assistrun r
        WHERE r.schema = q.schema AND r."table" = q."table" AND r.signature = q.signature AND r.verdict = 'proven' AND r.state = 'done'
            AND r.items @> to_jsonb(q.id::text) AND r.finished_at > $3::timestamptz - interval '2 s'
        ORDER BY r.finished_at DESC LIMIT 1) AS proven,
    EXISTS (SELECT FROM healing_assistrun r
        WHERE r.schema = q.schema AND r."table" = q."table" AND r.signature = q.signature
            AND (r.state = 'working' OR (r.state = 'due' AND r.due_at <= clock_timestamp()))) AS alive, q.lease_until = $2 AS ours
FROM healing_quarantineitem q WHERE q.id = $1::text::uuid"""
_CLAIM = """
UPDATE healing_quarantineitem SET state = 'replaying', lease_until = clock_timestamp() + make_interval(secs => $3),
    assist_id = $4::text::uuid
WHERE id = $1::text::uuid AND state = 'waiting' AND lease_until = $2 RETURNING lease_until"""
_LANDED = """
WITH item AS (
    UPDATE healing_quarantineitem SET state = 'replayed', replayed_at = now(), replay_receipt = $3::text::uuid, lease_until = NULL,
        last_error = NULL
    WHERE id = $1::text::uuid AND state = 'replaying' AND lease_until = $2 RETURNING receipt)
UPDATE healing_receipt SET outcome = 'replayed' WHERE id IN (SELECT receipt FROM item)"""
_RELEASE = """
UPDATE healing_quarantineitem SET state = 'waiting', lease_until = NULL, assist_id = CASE WHEN automatic THEN assist_id END
WHERE id = $1::text::uuid AND state IN ('waiting', 'replaying') AND lease_until = $2"""
_AWAY = (DatabaseError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError, OSError)


async def waited(services: Services, request: Request, envelope: Envelope, caller: Caller, writing: Coroutine[Any, Any, Answer]) -> Answer:
    """The answer to a write; where it was kept and its caller would wait, what came of the waiting. Raises what ``writing`` raises."""
    seconds = min(request.preferences.wait or 0.0, MOST_SECONDS)
    if not seconds or not _may(services, request, caller):
        return await writing
    until = asyncio.get_running_loop().time() + seconds
    answer = await writing
    kept = dict(answer.headers).get("Mendgate-Quarantine")
    if not kept:
        return answer
    began = asyncio.get_running_loop().time()
    final = await _landed(services, request, envelope, kept, until) or answer
    return final.of(replace(final.deed or Deed("", ""), waited=asyncio.get_running_loop().time() - began))


def _may(services: Services, request: Request, caller: Caller) -> bool:
    return level_of(services.state.policy(request.schema, request.name, caller.key), request) is Healing.ASSISTED


async def _landed(services: Services, request: Request, envelope: Envelope, kept: str, until: float) -> Answer | None:
    """Waits for the proof and writes; None where the usual answer stands. A fault of ours never changes that answer."""
    if services.waiting >= MOST_WAITING:
        return None
    services.waiting += 1
    held: Held | None = None
    try:
        held = await _hold(services, kept, until - asyncio.get_running_loop().time() + GRACE)
        run = await _proof(services, held, until) if held is not None else None
        if run is None or held is None:
            return None
        token = await _value(services, _CLAIM, kept, held.token, float(LEASE_SECONDS), run)
        held = None  # from here on it is claimed, and settled with the write
        if token is None:
            return None
        opened = await _opened(services, kept, run)
        return await _write(services, None if opened is None else replace(opened, request=request, envelope=envelope), kept, token)
    except _AWAY as error:
        log.warning("could not wait for a proof: %s", type(error).__name__)
        return None
    finally:
        services.waiting -= 1
        if held is not None:
            await _execute(services, _RELEASE, kept, held.token)


class Held(Struct, frozen=True):
    """A kept write that nobody else may replay for now; the lease's end is also what proves that it is ours."""

    id: str
    token: datetime
    since: datetime


async def _hold(services: Services, kept: str, seconds: float) -> Held | None:
    async with services.control.connection() as connection:
        found = await connection.fetchrow(_HOLD, kept, seconds)
    return None if found is None else Held(kept, found["lease_until"], found["since"])


async def _proof(services: Services, held: Held, until: float) -> str | None:
    """The run that proved a fix for this write, in time; None where none did, none is under way, or the write is no longer ours."""
    clock = asyncio.get_running_loop()
    while True:
        async with services.control.connection() as connection:
            seen = await connection.fetchrow(_LOOK, held.id, held.token, held.since)
        if seen is None or not seen["ours"]:
            return None
        if seen["proven"] is not None or not seen["alive"]:
            proven: str | None = seen["proven"]
            return proven
        pause = LOOK_EVERY * (1 + services.waiting / 8)  # many that wait look less often: the control database has others to serve
        if clock.time() + LOOK_EVERY > until:
            return None
        await asyncio.sleep(min(pause, until - clock.time()))


async def _write(services: Services, opened: Opened | None, kept: str, token: datetime) -> Answer | None:
    """The claimed write, with the proven fix; settled either way. Cancelled, or with the outcome unknown, the claim stays: its lease ends
    and what became of it is looked up."""
    if opened is None or not await services.has_our_schema() or await is_late(services, opened):
        await _execute(services, _RELEASE, kept, token)
        return None
    try:
        answer = await carry_out(services, opened)
    except DialectError as error:
        if error.code not in ("MG504", "08007"):
            await _execute(services, _RELEASE, kept, token)
        return None
    await _execute(services, _LANDED, kept, token, dict(answer.headers).get("Mendgate-Receipt"))
    return answer


async def _opened(services: Services, kept: str, run: str) -> Opened | None:
    opened = await open_item(services, kept)
    async with services.control.connection() as connection:
        record = await connection.fetchrow(RUN, run)
    return None if opened is None or record is None else replace(opened, assisted=assisted_of(record))


async def _value(services: Services, sql: str, *arguments: Any) -> Any:
    async with services.control.connection() as connection:
        return await connection.fetchval(sql, *arguments)


async def _execute(services: Services, sql: str, *arguments: Any) -> None:
    """What must be told, if it can be; else the lease ends by itself."""
    with contextlib.suppress(*_AWAY):
        async with services.control.connection() as connection:
            await connection.execute(sql, *arguments)
