"""Reads and function calls: plan, run as the caller, render. Former names are followed by lineage; nothing else is healed.

When the database says that a name is unknown, the catalog was stale: it is read again, once.
"""

from __future__ import annotations

from collections.abc import Mapping

from healing.core.types import Failure
from healing.gateway.answer import Answer
from healing.gateway.attempt import prelude_of
from healing.gateway.auth import Caller
from healing.gateway.errors import DialectError, from_failure
from healing.gateway.names import Names
from healing.gateway.plan_read import plan_read
from healing.gateway.plan_rpc import plan_rpc
from healing.gateway.request import Request
from healing.gateway.response import check_read, planned_rows, render_read
from healing.gateway.services import Services
from healing.gateway.sqltext import Query
from healing.gateway.target import DatabaseError, Transaction

_STALE = frozenset({"42703", "42P01", "42883", "42804", "0A000"})
_UNKNOWN = frozenset({"PGRST200", "PGRST202", "PGRST204", "PGRST205", "42703", "42P01"})


async def read(services: Services, request: Request, caller: Caller, headers: Mapping[str, str], body: bytes = b"") -> Answer:
    """Answers a GET or HEAD on a table, or any call of a function. Raises ``DialectError``."""
    for again in (False, True):
        try:
            return await _once(services, request, caller, headers, body)
        except DialectError as error:
            if again or error.code not in _UNKNOWN or not await services.reread_all():
                raise
        except DatabaseError as error:
            if again or error.failure.code not in _STALE | {"40001"} or not await _refreshed(services, error.failure):
                raise from_failure(error.failure, authenticated=caller.role != "anon") from error
    raise AssertionError("unreachable")


async def _refreshed(services: Services, failure: Failure) -> bool:
    return failure.code == "40001" or await services.reread_all()


async def _once(services: Services, request: Request, caller: Caller, headers: Mapping[str, str], body: bytes) -> Answer:
    state = services.state
    level = state.policy(request.schema, request.name, caller.key).healing
    follow = level != "off" and request.preferences.healing != "off"
    names = Names(state.snapshot, state.lineage, follow=follow)
    query = plan_rpc(request, names, body) if request.kind == "rpc" else plan_read(request, names)
    start = "BEGIN READ ONLY;" if query.read_only else "BEGIN;"
    transaction = await Transaction.begin(services.pool, start + prelude_of(caller, request, headers))
    planned = None
    if query.count_query is not None:
        planned = planned_rows(await _fetch(transaction, query.count_query))
    record = await _fetch(transaction, query)
    try:
        check_read(request, record["n"])
        answer = render_read(request, query, record, planned)
    except BaseException:
        await transaction.rollback()
        raise
    await transaction.commit()
    return answer.plus(*_headers(names))


async def _fetch(transaction: Transaction, query: Query):  # type: ignore[no-untyped-def]
    record = await transaction.fetchrow(query.sql, *query.params)
    assert record is not None
    return record


def _headers(names: Names) -> list[tuple[str, str]]:
    if not names.healed:
        return []
    text = ", ".join(f"{kind}({old}->{new})" for kind, old, new in dict.fromkeys(names.healed))
    return [("Mendgate-Healed", text.encode("ascii", "backslashreplace").decode())]
