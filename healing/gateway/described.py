"""``GET /rest/v1/``: the schema's OpenAPI document, of what the caller's role has a right to, as PostgREST has it."""

from __future__ import annotations

import asyncio

from healing.gateway import openapi
from healing.gateway.answer import Answer
from healing.gateway.auth import Caller
from healing.gateway.errors import from_failure
from healing.gateway.kept import Envelope
from healing.gateway.request import Request
from healing.gateway.request_prelude import prelude_of
from healing.gateway.services import Services
from healing.gateway.target import DatabaseError, Transaction
from schema_monitor.core.snapshot import Snapshot

_ALLOWED = """
SELECT array(
    SELECT c.oid::int8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE n.nspname = $1 AND c.relkind IN ('r', 'v', 'm', 'f', 'p') AND has_schema_privilege(n.oid, 'USAGE')
        AND (has_any_column_privilege(c.oid, 'SELECT, INSERT, UPDATE') OR has_table_privilege(c.oid, 'DELETE'))
    UNION ALL
    SELECT p.oid::int8 FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace
    WHERE n.nspname = $1 AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE')
) AS allowed"""
_MOST = 16


class Documents:
    """The documents of one catalog, made when somebody asks; roles with the same rights share one."""

    def __init__(self) -> None:
        self._snapshot: Snapshot | None = None
        self._made: dict[tuple[str, frozenset[int]], bytes] = {}

    async def answer(self, services: Services, request: Request, envelope: Envelope, caller: Caller) -> Answer:
        """The document for a caller. Raises ``DialectError``."""
        try:
            allowed = await _allowed(services, request, envelope, caller)
        except DatabaseError as error:
            raise from_failure(error.failure, authenticated=caller.role != "anon") from error
        body = await self._document(services.state.snapshot, request.schema, allowed)
        wanted = envelope.headers.get("accept", "")
        media = "application/json" if "application/json" in wanted and openapi.MEDIA not in wanted else openapi.MEDIA
        return Answer(200, [("Content-Type", f"{media}; charset=utf-8")], body)

    async def _document(self, snapshot: Snapshot, schema: str, allowed: frozenset[int]) -> bytes:
        if snapshot is not self._snapshot or len(self._made) >= _MOST:
            self._snapshot, self._made = snapshot, {}
        made = self._made
        if (schema, allowed) not in made:
            made[schema, allowed] = await asyncio.to_thread(openapi.document, snapshot, schema, allowed)
        return made[schema, allowed]


async def _allowed(services: Services, request: Request, envelope: Envelope, caller: Caller) -> frozenset[int]:
    prelude = prelude_of(caller, request, envelope.headers)
    transaction = await Transaction.begin(services.pool, f"BEGIN READ ONLY;{prelude.text}", caller.turn)
    try:
        record = await transaction.fetchrow(_ALLOWED, request.schema)
    finally:
        await transaction.rollback()
    return frozenset(record["allowed"]) if record is not None else frozenset()
