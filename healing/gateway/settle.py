"""What an insert of a known shape needs, settled once: its columns, statement, receipt and headers; only the values differ.

A shape is everything of a request but its values: caller, table, query, preferences, keys, and how much may be healed. ``settle`` says
None where that does not decide the rest: then ``lane`` looks with care.
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog; values are parameters, or constants quoted here
from __future__ import annotations

from collections.abc import Mapping, Sequence

from msgspec.structs import replace

from healing.core import fixes
from healing.core.mend import Applied
from healing.core.quick import accepted, shape_of
from healing.core.types import Healing, Kind, Operation, Row, Rule
from healing.gateway import receipts
from healing.gateway.answer import Answer
from healing.gateway.attempt import Attempt, healing_headers, statement_of
from healing.gateway.auth import Caller
from healing.gateway.coalesce import Lane
from healing.gateway.identity import identity_sql
from healing.gateway.payload import Payload
from healing.gateway.plan_write import row_select
from healing.gateway.reach import writes_run_more
from healing.gateway.request import Request
from healing.gateway.request_prelude import prelude_of
from healing.gateway.response import render_write
from healing.gateway.services import Services
from healing.gateway.settled import Heal, Plan, Settled
from healing.gateway.shapes import is_long
from healing.gateway.sqltext import ident, qualified
from schema_monitor.core.snapshot import Relation

Names = tuple[tuple[str, str], ...]
"""A payload's keys, and the live column that each is."""

_PLAIN_KINDS = ("r", "p")
_MOST_SHAPES = 20_000
_MOST_CALLERS = 40_000
"""Shapes with their callers; one is about 1 kB where rows are healed, half of that where not."""


def settled_of(
    services: Services, request: Request, headers: Mapping[str, str], caller: Caller, rows: tuple[Row, ...], level: Healing
) -> Settled | None:
    """What is settled for the shape of this insert; None where there is nothing to settle."""
    keys = keys_of(rows)
    if keys is None or request.columns is not None:
        return None
    shape = (
        request.schema,
        request.name,
        request.method,
        request.query,
        request.profile_given,
        headers.get("prefer"),
        headers.get("accept"),
        keys,
        level,
        caller.prelude,
        caller.key,
    )
    known = services.state.settled
    try:
        return known[shape]
    except KeyError:
        if is_long(request.name, request.query, headers.get("prefer"), headers.get("accept"), *keys):
            return None
        if len(known) > _MOST_CALLERS:
            known.clear()
        payload = Payload(rows, b"", False)
        attempt = Attempt(services, request, caller, payload, statement_of(request, payload), level, False, None, headers, False)
        found = known[shape] = _settle(attempt, keys) if services.state.doubts else _as_for_others(known, shape[:-1], attempt, keys)
        return found


def _as_for_others(known: dict[object, Settled | None], alike: object, attempt: Attempt, keys: tuple[str, ...]) -> Settled | None:
    """What is settled for the shape whatever the key, and of this key what is told and counted: callers with the same rights are many."""
    if alike not in known:
        known[alike] = _settle(attempt, keys)
    found = known[alike]
    if found is None:
        return None
    place = (*found.place[:4], attempt.caller.key, *found.place[5:])
    return replace(
        found, place=place, heal=None if found.heal is None else replace(found.heal, head=_head(attempt, found.plan, found.heal.applied))
    )


def suits(attempt: Attempt) -> bool:
    """Whether a lane can do what the request asks, whatever its rows are."""
    request, preferences = attempt.request, attempt.request.preferences
    return (
        attempt.statement.operation is Operation.INSERT
        and attempt.level is not Healing.OFF
        and preferences.representation in (None, "minimal", "representation")
        and preferences.count is None
        and preferences.tx is None
        and preferences.max_affected is None
        and preferences.timezone is None
        and not preferences.missing_default
        and not request.filters
        and not request.orders
        and not request.ranges.get((), None)
        and not request.accept.strip
        and request.accept.kind in ("json", "object")
    )


def lane_relation(attempt: Attempt, events: tuple[str, ...] = ("INSERT",)) -> Relation | None:
    """The relation under its own name, where a lane may write to it: a table where these events fire no trigger and no rule, and nothing
    can ask for the request's headers, which a lane leaves out."""
    relation = attempt.find_relation()
    if relation is None or relation.name != attempt.request.name or relation.kind not in _PLAIN_KINDS:
        return None
    return None if writes_run_more(relation, attempt.services.state.snapshot, events) else relation


def plan_of(attempt: Attempt, relation: Relation, names: Mapping[str, str], applied: Sequence[Applied]) -> Plan | None:
    """The plan for rows whose keys are those of ``names``, which says what live column each is, healed by these fixes; None where the
    answer is more than plain columns."""
    asked = {a.fix.target: a.fix.source for a in applied if isinstance(a.fix, fixes.RenameColumn)}
    shown = row_select(attempt.request, relation, attempt.names, asked) if attempt.request.preferences.full else ""
    if shown is None or attempt.names.healed or any(relation.column(name) is None for name in names.values()):
        return None
    touched = tuple(sorted({key for a in applied for key in fixes.touches(a.fix)}))
    sql = _statement(attempt, relation, tuple(names.items()), shown, touched, tuple(asked.values()))
    prelude = prelude_of(attempt.caller, attempt.request, {}, shared=True)
    return Plan(
        relation,
        Lane(prelude, sql, bool(shown), f"{relation.schema}.{relation.name}"),
        "" if not shown else "object" if attempt.request.accept.kind == "object" else "array",
        touched,
        attempt.names.named(relation),
        render_write(attempt.request, body="[{}]" if shown else None, affected=1, inserted=None, total=None),
    )


def keys_of(rows: tuple[Row, ...]) -> tuple[str, ...] | None:
    """The keys that every row has, in the first one's order; None for a ragged or empty shape."""
    if len(rows) > 1:
        shape = rows[0].keys()
        if any([row.keys() != shape for row in rows]):
            return None
    return tuple(rows[0]) or None


def adds_values(rules: Sequence[Rule]) -> bool:
    """Whether one of these rules may add a value to a row that fits."""
    return any([Kind.MISSING_VALUE in rule.signature for rule in rules])


def _settle(attempt: Attempt, keys: tuple[str, ...]) -> Settled | None:
    relation = lane_relation(attempt) if suits(attempt) else None
    if relation is None:
        return None
    context = attempt.context()
    vet = attempt.services.state.vet(relation)
    if adds_values(context.rules):
        return None
    if all(key in vet.accepts for key in keys):
        plan = plan_of(attempt, relation, {key: key for key in keys}, ())
        return None if plan is None else Settled(plan, vet.accepts, _answered(attempt, plan, ()), attempt.place(plan.named))
    shape = shape_of(keys, context)
    accepts = accepted(shape.names, vet) if shape is not None else None
    if shape is None or accepts is None:
        return None
    applied = tuple(Applied(fix, source, rule, (0,)) for fix, source, rule in shape.found)
    plan = plan_of(attempt, relation, shape.names, applied)
    if plan is None:
        return None
    answer, place = _answered(attempt, plan, applied), attempt.place(plan.named)
    return Settled(plan, accepts, answer, place, _heal(attempt, plan, applied))


def _answered(attempt: Attempt, plan: Plan, applied: tuple[Applied, ...]) -> Answer:
    healed = healing_headers(tuple(a.fix for a in applied), ())
    return plan.answer.plus(*healed).of(attempt.deed(applied)).prepared()


def _heal(attempt: Attempt, plan: Plan, applied: tuple[Applied, ...]) -> Heal:
    sent = {each.fix.target: each.fix.source for each in applied if isinstance(each.fix, fixes.RenameColumn)}
    told = receipts.renamed_end({source: target for target, source in sent.items()})
    return Heal(applied, _head(attempt, plan, applied), told, tuple(sent[column] for column in plan.touched))


def _head(attempt: Attempt, plan: Plan, applied: tuple[Applied, ...]) -> str:
    return receipts.head_of("committed", attempt.statement, plan.relation.name, attempt.caller, receipts.fixes_of(applied))


def _statement(attempt: Attempt, relation: Relation, names: Names, shown: str, touched: tuple[str, ...], former: tuple[str, ...]) -> str:
    """The lane's SQL, remembered: rows that are looked at with care share their statements too."""
    cache, place = attempt.services.statements, (relation.oid, relation.fingerprint, names, shown, touched, former)
    found = cache.get(place)
    if found is None and is_long(shown, *(key for key, _ in names)):
        return _compose(relation, names, shown, touched, former)
    if found is None:
        if len(cache) > _MOST_SHAPES:
            cache.clear()
        found = cache[place] = _compose(relation, names, shown, touched, former)
    return found


def _compose(relation: Relation, names: Names, shown: str, touched: tuple[str, ...], former: tuple[str, ...]) -> str:
    columns = [(key, column) for key, name in names if (column := relation.column(name)) is not None]
    live = ", ".join(ident(column.name) for _, column in columns)
    sent = ", ".join(ident(key) for key, _ in columns)
    typed = ", ".join(f"{ident(key)} {column.type}" for key, column in columns)
    insert = f"INSERT INTO {qualified(relation.schema, relation.name)}({live}) SELECT {sent} FROM json_to_recordset($1::json) AS _({typed})"
    same = f"{identity_sql(relation, [column.name for _, column in columns], former, untouched=bool(touched))} AS same"
    if not shown:
        returned = ", ".join(ident(name) for name in touched) or "1"
        back = f", json_agg({_values('w.', touched)})::text AS back" if touched else ""
        return f"WITH w AS ({insert} RETURNING {returned}) SELECT count(*) AS n{back}, pg_current_xact_id()::text AS xid, {same} FROM w"
    row = f"(SELECT row_to_json(r.*)::text FROM (SELECT {shown}) r) AS row, "
    back = f"coalesce(to_json({_values('', touched)})::text, 'null') AS back, " if touched else ""
    return f"{insert} RETURNING {row}{back}pg_current_xact_id()::text AS xid, {same}"


def _values(of: str, touched: tuple[str, ...]) -> str:
    """The one column, or a JSON array of them."""
    columns = [f"{of}{ident(name)}" for name in touched]
    return columns[0] if len(columns) == 1 else f"json_build_array({', '.join(columns)})"
