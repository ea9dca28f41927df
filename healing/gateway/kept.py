"""The quarantine's door: a write that cannot be healed is stored, sealed, with its proposals, before the caller is answered.

It goes to the control database in one transaction: item, receipt, proposals. The same Idempotency-Key is kept once.
"""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import asyncpg
import msgspec
from msgspec import Struct

from healing.core import fixes
from healing.core.signature import joined
from healing.core.types import Failure, Json, Misfit, Proposal, Statement
from healing.gateway import receipts
from healing.gateway.auth import Caller
from healing.gateway.entropy import new_id
from healing.gateway.errors import DialectError
from healing.gateway.idempotency import Claim, other_request
from healing.gateway.seal import seal
from healing.gateway.target import DatabaseError, Pool

log = logging.getLogger("mendgate.quarantine")

_HEADERS = ("prefer", "accept", "accept-profile", "content-profile", "content-type", "idempotency-key")
_ITEM = """
INSERT INTO healing_quarantineitem (id, schema, "table", operation, signature, request, shape, row_count, error, key_id,
    role, subject, claims, token_expires_at, automatic, idempotency_key, request_hash, row_versions, relation_fingerprint, receipt)
VALUES ($1::text::uuid, $2, $3, $4, $5, $6, $7::text::jsonb, $8, $9::text::jsonb, $10::text::uuid,
    $11, $12, $13, $14, $15, $16, $17, $18, $19, $20::text::uuid)
ON CONFLICT DO NOTHING RETURNING id::text"""
_EARLIER = """
UPDATE healing_quarantineitem SET automatic = automatic OR ($5 AND request_hash = $6)
WHERE key_id IS NOT DISTINCT FROM $1::text::uuid AND role = $2 AND subject = $3 AND idempotency_key = $4
RETURNING id::text, receipt::text, request_hash, state"""
_RECEIPT = """
INSERT INTO healing_receipt (id, outcome, schema, "table", operation, key, role, subject, fixes, changes, sealed, quarantine)
VALUES ($1::text::uuid, $2, $3, $4, $5, $6::text::uuid, $7, $8, $9::text::jsonb, $10::text::jsonb, $11, $12::text::uuid)
ON CONFLICT (id) DO NOTHING"""
_PROPOSAL = """
INSERT INTO healing_proposal (id, schema, "table", signature, fix, probability, source, sentence, evidence, content_hash)
VALUES ($1::text::uuid, $2, $3, $4, $5::text::jsonb, $6, $7, $8, $9::text::jsonb, $10)
ON CONFLICT (schema, "table", signature, content_hash) DO UPDATE
SET probability = CASE WHEN healing_proposal.evidence ? 'ai'
        THEN GREATEST(healing_proposal.probability, EXCLUDED.probability) ELSE EXCLUDED.probability END,
    evidence = healing_proposal.evidence || EXCLUDED.evidence
WHERE healing_proposal.state = 'open'"""
_ASSIST = """
INSERT INTO healing_assistrun (id, schema, "table", signature, fingerprint, state, asked_by)
SELECT $1::text::uuid, $2::text, $3::text, $4::text, $5::text, 'due', ''
WHERE NOT EXISTS (
    SELECT FROM (
        SELECT r.verdict, r.fingerprint, r.prompt_id, r.finished_at FROM healing_assistrun r
        WHERE r.schema = $2::text AND r."table" = $3::text AND r.signature = $4::text AND r.state = 'done'
    ORDER BY r.finished_at DESC LIMIT 1
    ) last
    WHERE last.verdict NOT IN ('proven', 'not needed') AND last.fingerprint = $5::text
      AND (last.verdict <> 'failed' OR last.finished_at > now() - interval '1 hour')
      AND last.prompt_id IS NOT DISTINCT FROM (SELECT id FROM healing_prompt WHERE active))
ON CONFLICT DO NOTHING"""


_AGAIN = (
    asyncpg.PostgresConnectionError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.TransactionRollbackError,
    DatabaseError,
    OSError,
)
_QUOTED = re.compile(r': "(?s:.*)"')
_LONGEST_NAME = 200
"""Characters of a table's name that are shown; what was asked for is in the sealed request, whole."""
_LAST_MOMENT = datetime(9999, 12, 30, tzinfo=UTC)


class Envelope(Struct, frozen=True):
    """A request as it came: enough to run it again."""

    method: str
    path: str
    query: bytes
    headers: Mapping[str, str]
    body: bytes

    @property
    def profile(self) -> str:
        """The schema that a write names in Content-Profile."""
        return self.headers.get("content-profile", "")

    def sealed(self) -> bytes:
        """Encrypted JSON of what a replay needs."""
        kept = {name: self.headers[name] for name in _HEADERS if name in self.headers}
        body = base64.b64encode(self.body).decode()
        parts = {"method": self.method, "path": self.path, "query": self.query.decode("latin-1"), "headers": kept, "body": body}
        return seal(msgspec.json.encode(parts))


class Kept(Struct, frozen=True):
    """Where a write was kept. ``again``: it had been kept before under the same Idempotency-Key."""

    id: str
    receipt: str
    again: bool = False


async def keep(
    pool: Pool,
    envelope: Envelope,
    statement: Statement,
    table: str,
    caller: Caller,
    failure: Failure,
    misfits: Sequence[Misfit],
    proposals: Sequence[Proposal],
    *,
    automatic: bool,
    claim: Claim | None,
    row_versions: str,
    fingerprint: str,
    assist: bool = False,
) -> Kept:
    """Stores the write; with ``assist`` also that the AI is to be asked about its cause, unless it was, in vain, about this very schema
    (a run that broke by our own fault counts for an hour). A cause whose name is too long to look up is kept without one. Raises
    ``DialectError`` 422 for a reused Idempotency-Key, and whatever the database raises."""
    item_id, receipt_id = new_id(), new_id()
    table, signature = table[:_LONGEST_NAME], joined([misfit.signature for misfit in misfits])
    receipt = receipts.make("quarantined", statement, table, caller, quarantine=item_id)
    item = (
        item_id,
        statement.schema,
        table,
        str(statement.operation),
        signature,
        envelope.sealed(),
        _text(shape(statement)),
        max(1, len(statement.rows)),
        _text(redacted(failure)),
        caller.key,
        caller.role,
        caller.subject,
        seal(msgspec.json.encode(caller.claims)),
        _moment(caller.token_expires_at),
        automatic,
        claim.key if claim else None,
        claim.request_hash if claim else "",
        row_versions,
        fingerprint,
        receipt_id,
    )
    for last in (False, False, True):
        try:
            return await _store(pool, item, receipt, proposals, caller, claim, assist)
        except asyncpg.ProgramLimitExceededError:
            if not item[4]:
                raise
            item, proposals, assist = (*item[:4], "", *item[5:]), (), False
        except _AGAIN:
            if last:  # an earlier try may have been cut off after its commit: the next finds the item by its id
                raise
    raise AssertionError("unreachable")


async def _store(
    pool: Pool,
    item: tuple[Any, ...],
    receipt: receipts.Receipt,
    proposals: Sequence[Proposal],
    caller: Caller,
    claim: Claim | None,
    assist: bool,
) -> Kept:
    async with pool.connection() as connection, connection.transaction():
        if await connection.fetchval(_ITEM, *item) is None:
            if await connection.fetchval("SELECT EXISTS (SELECT FROM healing_quarantineitem WHERE id = $1::text::uuid)", item[0]):
                return Kept(item[0], item[-1])
            return await _earlier(connection, caller, claim, automatic=item[14])
        await _write_receipt(connection, item[-1], receipt, item[0])
        await _write_proposals(connection, item[1], item[2], item[4], proposals)
        if assist:
            await _ask(connection, item)
    return Kept(item[0], item[-1])


async def _ask(connection: Any, item: tuple[Any, ...]) -> None:
    """In a savepoint: a fault of the AI tier must not lose the payload."""
    try:
        async with connection.transaction():
            await connection.execute(_ASSIST, new_id(), item[1], item[2], item[4], item[-2])
    except asyncpg.PostgresError:
        log.exception("the AI could not be asked; the write is kept without it")


async def write_receipt(pool: Pool, receipt_id: str, receipt: receipts.Receipt) -> None:
    """A receipt straight into the control database: the weaker promise where the target has no ``mendgate`` schema."""
    async with pool.connection() as connection:
        await _write_receipt(connection, receipt_id, receipt, None)


def shape(statement: Statement) -> dict[str, str]:
    """Keys and JSON types of the first row; no values."""
    row = statement.rows[0] if statement.rows else {}
    return {key: type_name(value) for key, value in row.items()}


def type_name(value: Json) -> str:
    """The JSON type of a value."""
    match value:
        case None:
            return "null"
        case bool():
            return "boolean"
        case str():
            return "string"
        case list():
            return "array"
        case dict():
            return "object"
        case _:
            return "number"


def without_value(code: str, message: str) -> str:
    """The message of an error about a value, without the value."""
    return _QUOTED.sub(': "(sealed)"', message) if code.startswith("22") else message


def redacted(failure: Failure) -> dict[str, str | None]:
    """The error without the values that some details list."""
    details, message = failure.details, without_value(failure.code, failure.message)
    if details is not None and (details.startswith("Failing row contains") or details.startswith("Key (")):
        details = details.partition("(")[0].rstrip() + " (values kept sealed)"
    return {"code": failure.code, "message": message, "details": details, "hint": failure.hint}


async def _earlier(connection: Any, caller: Caller, claim: Claim | None, automatic: bool) -> Kept:
    """Where it was kept before. A sender that now accepts quarantine has its write replayed by itself from here on."""
    record = None
    if claim is not None:
        record = await connection.fetchrow(_EARLIER, caller.key, caller.role, caller.subject, claim.key, automatic, claim.request_hash)
    if record is None:
        raise DialectError("MG503", 503, "The write could not be kept; nothing was written", None, "Send it again.")
    if claim is not None and record["request_hash"] != claim.request_hash:
        raise other_request()
    if record["state"] == "discarded":
        hint = "To write it after all, send it with a new Idempotency-Key."
        raise DialectError("MG410", 409, f"This write was kept as {record['id']} and a person discarded it", None, hint)
    return Kept(record["id"], record["receipt"], again=True)


async def _write_receipt(connection: Any, receipt_id: str, receipt: receipts.Receipt, quarantine: str | None) -> None:
    body = msgspec.json.decode(receipt.head)
    await connection.execute(
        _RECEIPT,
        receipt_id,
        body["outcome"],
        body["schema"],
        body["table"],
        body["operation"],
        body["key"],
        body["role"],
        body["subject"],
        _text(body["fixes"]),
        _text(body["changes"]),
        seal(receipt.values),
        quarantine,
    )


async def _write_proposals(connection: Any, schema: str, table: str, signature: str, proposals: Sequence[Proposal]) -> None:
    """In a savepoint: a proposal can be made again, the payload cannot, so a fault here must not lose it."""
    try:
        async with connection.transaction():
            for proposal in sorted(proposals, key=_hash):  # always in one order: no deadlocks
                await _write_proposal(connection, schema, table, signature, proposal)
    except (asyncpg.DataError, asyncpg.IntegrityConstraintViolationError):
        log.exception("proposals could not be stored; the write is kept without them")


async def _write_proposal(connection: Any, schema: str, table: str, signature: str, proposal: Proposal) -> None:
    await connection.execute(
        _PROPOSAL,
        new_id(),
        schema,
        table,
        signature,
        _text(proposal.fix),
        min(1.0, max(0.0, proposal.probability)),
        proposal.source,
        proposal.sentence,
        _text(proposal.evidence),
        _hash(proposal),
    )


def _hash(proposal: Proposal) -> str:
    content = fixes.content_hash_text(fixes.parse(list(proposal.fix)))
    return hashlib.sha256(content.encode()).hexdigest()


def _text(value: object) -> str:
    return receipts.encode(value).decode().replace("\\u0000", "\\ufffd")


def _moment(seconds: float | None) -> datetime | None:
    """The last there is for what lies behind it (a token that counts in milliseconds expires in the year 58,000)."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC) if seconds < _LAST_MOMENT.timestamp() else _LAST_MOMENT
