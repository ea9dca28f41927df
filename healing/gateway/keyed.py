"""The lane for writes by key: updates of one row by its primary key, and upserts of one row, that need nothing from us.

``try_keyed`` answers the request, or says that the ordinary way must take it (with what the database said, if it was asked). It takes only
what is plain: live names, clean values, plain columns in the answer, no trigger on the event, no count, no receipt.
"""

from __future__ import annotations

import msgspec
from msgspec import Struct

from healing.core.types import Failure, Healing, Operation, Row
from healing.core.vet import Vet, clean
from healing.gateway import tuned
from healing.gateway.answer import Answer
from healing.gateway.attempt import Attempt
from healing.gateway.filters import Filter, plain_eq
from healing.gateway.identity import identity_sql
from healing.gateway.keyed_sql import ENTRY, HIT, ROW, are_keys, key_name, key_of, update_sql, upsert_sql
from healing.gateway.lane import UNKNOWN
from healing.gateway.plan_write import row_select
from healing.gateway.request import Request
from healing.gateway.request_prelude import prelude_of
from healing.gateway.response import check_write, render_write
from healing.gateway.settle import adds_values, lane_relation
from healing.gateway.shapes import LONGEST, is_long
from healing.gateway.sharing import TableHeld
from healing.gateway.target import DatabaseError
from healing.gateway.together import ByItself, Entry, KeyedLane
from schema_monitor.core.snapshot import Column, Relation

_MOST_BYTES = 1 << 18
_EVENTS = {Operation.UPDATE: ("UPDATE",), Operation.UPSERT: ("INSERT", "UPDATE")}


class Plan(Struct, frozen=True):
    """How rows of one shape go through a lane. ``key`` are the columns that find the row."""

    relation: Relation
    sql: str
    key: tuple[Column, ...]
    vet: Vet
    shown: bool
    named: tuple[str, ...]


async def try_keyed(attempt: Attempt) -> Answer | Failure | None:
    """The answer; or why the database refused the row; or None (not for the lane)."""
    payload, services = attempt.payload, attempt.services
    if len(payload.rows) != 1 or len(payload.inner) > _MOST_BYTES or b"\\u0000" in payload.inner or not _may_suit(attempt.request):
        return None
    plan = _known_plan(attempt)
    row = payload.rows[0]
    if plan is None or _is_alone(plan.relation) or not clean(row, plan.vet.accepts):
        return None
    entry = _entry(attempt, plan, row)
    if entry is None:
        return None
    try:
        lane = KeyedLane(prelude_of(attempt.caller, attempt.request, {}, shared=True), plan.sql)
        record = await services.together.send(lane, entry)
    except ByItself:
        return None
    except DatabaseError as error:
        if error.failure.code in UNKNOWN or isinstance(error, TableHeld):
            raise attempt.error_of(error.failure) from error
        return error.failure
    return _answer(attempt, plan, record[HIT] == b"t", record[ROW])


def _answer(attempt: Attempt, plan: Plan, hit: bool, row: bytes | None) -> Answer:
    request = attempt.request
    updates = attempt.statement.operation is Operation.UPDATE
    affected, inserted = (int(hit), None) if updates else (1, int(hit))
    attempt.relation = plan.relation
    check_write(request, affected)
    attempt.count_traffic(named=plan.named)
    body = b"[%b]" % (row or b"") if plan.shown else None
    return render_write(request, body=body, affected=affected, inserted=inserted, total=None).of(attempt.deed())


def _known_plan(attempt: Attempt) -> Plan | None:
    """The plan of the request's shape, remembered where that is not too long (a look at each key only where it might be)."""
    request, headers, payload = attempt.request, attempt.headers, attempt.payload
    texts = (request.name, request.query, headers.get("prefer"), headers.get("accept"))
    if is_long(*texts, *(payload.rows[0] if len(payload.inner) > LONGEST else ())):
        return _plan(attempt)
    return attempt.services.shapes.find(attempt.services.state, _shape(attempt), lambda: _plan(attempt))


def _shape(attempt: Attempt) -> object:
    """Everything of a request that the plan depends on. Who asks is no part of it where rules are the same for all: callers are many."""
    request, headers = attempt.request, attempt.headers
    identity = attempt.caller.identity if attempt.services.state.doubts else ""
    filters = tuple([plain_eq(placed.condition) for placed in request.filters])
    place = (request.schema, request.name, request.method, request.select, filters, request.on_conflict)
    return (*place, headers.get("prefer"), headers.get("accept"), tuple(attempt.payload.rows[0]), attempt.level, identity)


def _may_suit(request: Request) -> bool:
    """Whether a lane can do what the request asks, as far as can be seen without the catalog."""
    asks = request.preferences
    return (
        request.method in ("PATCH", "POST")
        and asks.representation in (None, "minimal", "representation")
        and (request.method == "PATCH" or asks.resolution == "merge-duplicates")
        and asks.count is None
        and asks.tx is None
        and asks.max_affected is None
        and asks.timezone is None
        and not asks.missing_default
        and request.columns is None
        and not request.orders
        and not request.ranges
        and not request.accept.strip
        and request.accept.kind in ("json", "object")
        and not any([placed.path for placed in request.filters])
    )


def _plan(attempt: Attempt) -> Plan | None:
    operation = attempt.statement.operation
    if operation not in _EVENTS or attempt.level is Healing.OFF:
        return None
    relation = lane_relation(attempt, _EVENTS[operation])
    if relation is None:
        return None
    state = attempt.services.state
    vet, columns = state.vet(relation), _columns(relation, tuple(attempt.payload.rows[0]))
    key = _updated_key(attempt, relation) if operation is Operation.UPDATE else _upserted_key(attempt, relation)
    if not columns or not key or any(column.name not in vet.accepts for column in (*columns, *key)):
        return None
    if adds_values(state.rules_for(relation, str(operation), attempt.caller.identity)):
        return None
    shown = row_select(attempt.request, relation, attempt.names, {}) if attempt.request.preferences.full else ""
    if shown is None or attempt.names.healed or attempt.names.reused:
        return None
    proof = identity_sql(relation, [*attempt.payload.rows[0], *(name for oid, name in attempt.names.meant if oid == relation.oid)])
    if operation is Operation.UPDATE:
        sql = update_sql(relation, key, columns, shown, proof, state.snapshot)
    else:
        sql = upsert_sql(relation, key, columns, shown, proof)
    return Plan(relation, sql, key, vet, bool(shown), attempt.names.named(relation))


def _is_alone(relation: Relation) -> bool:
    """Writes of the table share nothing."""
    return tuned.live.word("transactions", "together", f"{relation.schema}.{relation.name}") == "alone"


def _columns(relation: Relation, keys: tuple[str, ...]) -> tuple[Column, ...]:
    found = [column for key in keys if (column := relation.column(key)) is not None]
    return tuple(found) if len(found) == len(keys) else ()


def _updated_key(attempt: Attempt, relation: Relation) -> tuple[Column, ...]:
    """The primary key's columns in the filters' order, where the filters are an ``eq`` for each and nothing else."""
    return key_of(relation, [plain_eq(placed.condition) for placed in attempt.request.filters], attempt.names, careful=True)


def _upserted_key(attempt: Attempt, relation: Relation) -> tuple[Column, ...]:
    """The columns that say whether the row is there, where each is in the row."""
    if attempt.request.filters:
        return ()
    wanted = attempt.request.on_conflict
    names = relation.primary_key if wanted is None else wanted
    found = [relation.column(name) if wanted is None else attempt.names.find_column(relation, name, careful=True) for name in names]
    columns = tuple([column for column in found if column is not None])
    return columns if len(columns) == len(names) and all(column.name in attempt.payload.rows[0] for column in columns) else ()


def _entry(attempt: Attempt, plan: Plan, row: Row) -> Entry | None:
    """What goes into the statement: the caller's own bytes, and for an update the key before them."""
    inner = attempt.payload.inner.strip()
    if attempt.statement.operation is Operation.UPSERT:
        return Entry(inner, tuple([str(row[column.name]) for column in plan.key]), attempt.caller.turn)
    values = [str(placed.condition.value) for placed in attempt.request.filters if isinstance(placed.condition, Filter)]
    texts = {key_name(n): value for n, value in enumerate(values)}
    if not are_keys(values, plan.key) or any(["\0" in value for value in values]) or not {*texts, ENTRY}.isdisjoint(row):
        return None
    return Entry(msgspec.json.encode(texts)[:-1] + b"," + inner.lstrip()[1:], tuple(values), attempt.caller.turn)
