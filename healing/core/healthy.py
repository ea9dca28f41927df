"""What a rule would do to the healthy traffic of lately: requests by shape that fit as they were sent, and would be changed all the same.
There must be none. It goes through the function that the gateway heals with, like ``core.backtest``."""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct
from msgspec.structs import replace

from healing.core import fixes
from healing.core.backtest import MOST_COUNTER, Contexts, in_force, used
from healing.core.mend import Context, mend
from healing.core.samples import Chance, rows
from healing.core.types import Operation, Rule, Statement
from schema_monitor.core.snapshot import Relation
from schema_monitor.core.traffic import RecentShape

_WRITES = {each.value: each for each in (Operation.INSERT, Operation.UPSERT, Operation.UPDATE)}


class Felt(Struct, frozen=True):
    """Healthy traffic. ``touched`` requests would be changed; ``perhaps``: would be where a key that was sent holds null."""

    requests: int
    touched: int
    perhaps: int
    where: tuple[str, ...]


def felt(rule: Rule, shapes: Iterable[RecentShape], contexts: Contexts, chance: Chance) -> Felt:
    """Tries the rule on what callers sent lately and what landed as it was sent. Values were never recorded: each shape is filled with
    values that fit. A shape that no longer fits the schema is not healthy, and not counted."""
    requests, touched, perhaps, where = 0, 0, 0, list[str]()
    for shape in shapes:
        healthy = shape.requests - shape.misfits
        if healthy <= 0 or shape.operation not in _WRITES:
            continue
        sound, now, maybe = _feels(rule, shape, contexts, chance)
        requests += healthy if sound else 0
        touched += healthy if sound and now else 0
        perhaps += healthy if sound and maybe and not now else 0
        if sound and (now or maybe) and len(where) < MOST_COUNTER:
            where.append(f"{shape.caller or shape.role}: {shape.operation} with {', '.join(shape.keys) or 'no keys'}")
    return Felt(requests, touched, perhaps, tuple(where))


def _feels(rule: Rule, shape: RecentShape, contexts: Contexts, chance: Chance) -> tuple[bool, bool, bool]:
    """Whether the shape fits today's schema; whether the rule would change it; whether it would where a key holds null."""
    statement = Statement(_WRITES[shape.operation], shape.schema, shape.name)
    context = contexts(statement)
    if context is None or context.relation is None:
        return False, False, False
    relation, ruled = context.relation, in_force(rule, context, {})
    full = replace(statement, rows=(rows(relation, context.snapshot.enums, chance, shape.keys),))
    if mend(full, context).misfits or (statement.operation is not Operation.UPDATE and _lacks(relation, shape.keys)):
        return False, False, False
    nullable = {column.name for column in relation.columns if column.nullable}
    nulls = replace(full, rows=({key: None if key in nullable else value for key, value in full.rows[0].items()},))
    return True, _changes(rule, full, ruled), _changes(rule, nulls, ruled)


def _changes(rule: Rule, statement: Statement, context: Context) -> bool:
    """Whether the rule is used. A fill from a claim that nobody has is tried with the claim."""
    claims = {op.claim: "a" for op in fixes.program(rule.fix) if isinstance(op, fixes.Fill) and op.claim is not None}
    return used(rule, mend(statement, replace(context, claims=claims)))


def _lacks(relation: Relation, keys: Iterable[str]) -> bool:
    """Whether a row with these keys misses a value that the table needs."""
    sent = {*keys}
    return (
        any(not (c.nullable or c.default or c.identity or c.generated or c.domain or c.name in sent) for c in relation.columns)
        and not relation.has_before_triggers
    )
