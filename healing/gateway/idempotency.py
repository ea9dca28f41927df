"""Idempotency keys: the answer is recorded by the transaction that writes the row, so one key has one effect.

    in flight elsewhere   -> 409          same key, other request -> 422
    answered before       -> that answer  else                    -> go on; ``record_sql`` at commit

The advisory lock makes a second sender fail fast; the primary key is what makes a double effect impossible.
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog; values are parameters, or constants quoted here
from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
from msgspec import Struct

from healing.core.types import Failure
from healing.gateway.answer import Answer
from healing.gateway.errors import DialectError
from healing.gateway.prelude import Prelude
from healing.gateway.target import DatabaseError, Pool, Transaction, quote_literal
from healing.gateway.wire_messages import Record, Step

HEADER = "Idempotency-Key"
MOST_CHARACTERS = 255
_FIND = """
SELECT pg_try_advisory_xact_lock(hashtextextended($1 || chr(31) || $2, 7)) AS free,
    i.request_hash, i.status, i.headers::text AS headers, encode(i.body, 'hex') AS body
FROM (SELECT 1) one LEFT JOIN mendgate.idempotency i ON i.caller = $1 AND i.key = $2"""


class Claim(Struct, frozen=True):
    """A key as claimed by one request."""

    caller: str
    key: str
    request_hash: str

    def record_sql(self, answer: Answer) -> str:
        """The INSERT that remembers the answer; an error here (somebody else was first) undoes the write."""
        return records_sql([(self, answer)])

    def values_sql(self, answer: Answer) -> str:
        """The record's row."""
        headers = msgspec.json.encode(answer.headers).decode()
        values = ",".join(quote_literal(v) for v in (self.caller, self.key, self.request_hash))
        return f"({values},{int(answer.status)},{quote_literal(headers)}::jsonb,decode('{answer.body.hex()}','hex'))"


def records_sql(records: Sequence[tuple[Claim, Answer]]) -> str:
    """The INSERT that remembers these answers, all or none (see ``Claim.record_sql``)."""
    rows = ",".join([claim.values_sql(answer) for claim, answer in records])
    return f"INSERT INTO mendgate.idempotency(caller,key,request_hash,status,headers,body) VALUES {rows};"


def make_claim(caller: str, key: str, method: str, path: str, query: bytes, body: bytes, profile: str = "") -> Claim:
    """A claim for a request (``profile``: the Content-Profile it named). Raises ``DialectError`` for a key that cannot be one."""
    if not key or len(key) > MOST_CHARACTERS or not key.isprintable():
        raise DialectError("MG400", 400, f"{HEADER} must have 1 to {MOST_CHARACTERS} printable characters", None, None)
    return Claim(caller, key, request_hash(method, f"{path} {profile}" if profile else path, query, body))


def request_hash(method: str, path: str, query: bytes, body: bytes) -> str:
    """What makes two requests the same request."""
    text = b"\0".join([method.encode(), path.encode(), query, body])
    return hashlib.sha256(text).hexdigest()


async def find_answer(transaction: Transaction, claim: Claim) -> Answer | None:
    """The stored answer, or None where the request may go on. Raises ``DialectError`` 409 or 422. Must run before the
    caller's role is taken on: callers have no right to this table."""
    record = await transaction.fetchrow(_FIND, claim.caller, claim.key)
    assert record is not None
    return _answer_of(claim, *record)


def asked(claim: Claim) -> Step:
    """What ``found`` reads the answer of; as ourselves, too."""
    return Step(_FIND, (claim.caller.encode(errors="surrogatepass"), claim.key.encode(errors="surrogatepass")))


def found(record: Record, claim: Claim) -> Answer | None:
    """As ``find_answer``."""
    free, *texts = record
    request_hash, status, headers, body = [None if text is None else text.decode() for text in texts]
    return _answer_of(claim, free == b"t", request_hash, None if status is None else int(status), headers, body)


def _answer_of(
    claim: Claim, free: bool, request_hash: str | None, status: int | None, headers: str | None, body: str | None
) -> Answer | None:
    if status is None:
        if not free:
            hint = "Wait for the first answer, or send it again in a moment."
            raise DialectError("MG409", 409, "A request with this Idempotency-Key is being processed", None, hint)
        return None
    if request_hash != claim.request_hash:
        raise other_request()
    told = [(name, value) for name, value in msgspec.json.decode(headers or "[]")]
    return Answer(status, [*told, ("Mendgate-Idempotent", "replayed")], bytes.fromhex(body or ""))


async def begin_once(pool: Pool, claim: Claim, prelude: Prelude, turn: str = "", begin: str = "BEGIN") -> Transaction | Answer:
    """A transaction in which the claim is held and ``prelude`` ran; or the answer that was given before. Raises as ``find_answer``."""
    transaction = await Transaction.begin(pool, begin, turn)
    try:
        answer = await find_answer(transaction, claim)
        if answer is None:
            await transaction.execute(prelude.text)
            return transaction
    except DatabaseError:
        raise
    except BaseException:
        await transaction.rollback()
        raise
    await transaction.rollback()
    return answer


def lost_race(error: DatabaseError) -> DatabaseError:
    """Somebody recorded an answer under the same key first: to be tried again, which finds it. Other errors as they are."""
    if error.failure.schema == "mendgate" and error.failure.code == "23505":
        return DatabaseError(Failure("40001", "Another request with this Idempotency-Key was faster."))
    return error


def other_request() -> DialectError:
    """The 422 for a key that already belongs to another request."""
    hint = "Use a new Idempotency-Key for a new request."
    return DialectError("MG422", 422, "This Idempotency-Key was used for a different request", None, hint)
