"""The lane for reads by key: one row of a table by its whole primary key, in plain columns under live names.

``try_read`` answers the request, or says that the ordinary way must take it, which also finds the words for what goes wrong.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from healing.gateway.answer import Answer
from healing.gateway.auth import Caller
from healing.gateway.errors import from_failure
from healing.gateway.filters import Filter, plain_eq
from healing.gateway.keyed_sql import ROW, are_keys, key_name, key_of, select_sql
from healing.gateway.names import Names
from healing.gateway.plan_write import row_select
from healing.gateway.reach import asks_for_more
from healing.gateway.request import Request
from healing.gateway.request_prelude import prelude_of
from healing.gateway.response import render_read
from healing.gateway.services import Services
from healing.gateway.shapes import is_long
from healing.gateway.sharing import OUT_OF_TIME, SHARED_FATE
from healing.gateway.target import DatabaseError
from healing.gateway.together import ByItself, Entry, KeyedLane
from schema_monitor.core.snapshot import Column


class Plan(Struct, frozen=True):
    """How reads of one shape go through the lane. ``names`` knows what was asked for, for the traffic counters."""

    sql: str
    key: tuple[Column, ...]
    names: Names


async def try_read(services: Services, request: Request, caller: Caller) -> Answer | None:
    """The answer, or None: not for the lane. Raises ``DialectError``."""
    if not may_suit(request):
        return None
    names = tuple([plain_eq(placed.condition) for placed in request.filters])
    shape = ("read", request.schema, request.name, request.select, names)
    long = is_long(request.name, request.query)
    plan = _plan(services, request, names) if long else services.shapes.find(services.state, shape, lambda: _plan(services, request, names))
    if plan is None:
        return None
    values = [str(placed.condition.value) for placed in request.filters if isinstance(placed.condition, Filter)]
    if not are_keys(values, plan.key):
        return None
    text = msgspec.json.encode({key_name(n): value for n, value in enumerate(values)})
    try:
        lane = KeyedLane(prelude_of(caller, request, {}, shared=True), plan.sql, reads=True)
        record = await services.together.send(lane, Entry(text, None, caller.turn))
    except ByItself:
        return None
    except DatabaseError as error:
        if error.failure.code.startswith((*SHARED_FATE, OUT_OF_TIME)):
            raise from_failure(error.failure, authenticated=caller.role != "anon") from error
        return None
    row = record[ROW]
    n = int(row is not None)
    answer = render_read(request, body=row if request.accept.kind == "object" else b"[%b]" % (row or b""), n=n, total=None)
    services.traffic.read(plan.names, caller, n)
    return answer


def may_suit(request: Request) -> bool:
    """Whether the lane can do what the request asks, as far as can be seen without the catalog."""
    asks = request.preferences
    return (
        request.method == "GET"
        and request.kind == "table"
        and bool(request.filters)
        and asks.count is None
        and asks.timezone is None
        and not request.orders
        and all([asked.everything for asked in request.ranges.values()])
        and not request.accept.strip
        and request.accept.kind in ("json", "object")
        and not any([placed.path for placed in request.filters])
    )


def _plan(services: Services, request: Request, filters: tuple[str | None, ...]) -> Plan | None:
    state = services.state
    names = Names(state.snapshot, state.lineage)
    relation = names.find_relation(request.schema, request.name)
    if relation is None or relation.name != request.name or relation.kind not in ("r", "p") or asks_for_more(relation, state.snapshot):
        return None
    shown = row_select(request, relation, names, {})
    key = key_of(relation, filters, names)
    if shown is None or names.healed or not key:
        return None
    sql = select_sql(relation, key, shown, state.snapshot)
    return Plan(sql, key, names)
