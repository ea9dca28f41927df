"""The names of a request against a schema and its lineage: the judgement that healing makes before it sends anything."""

from __future__ import annotations

from collections.abc import Iterator

from schema_monitor.core.lineage import Ambiguous, Gone, Lineage, Live, Renamed, Retired, Reused
from schema_monitor.core.meaning import UNSAID
from schema_monitor.core.snapshot import Column, Relation, Snapshot
from schema_monitor.core.traffic import EVERYTHING, RecentShape
from schema_monitor.core.verdicts import Reason, Remedy, Verdict

_MAKES_ROWS = ("insert", "upsert")


def name_reasons(shape: RecentShape, snapshot: Snapshot, lineage: Lineage, before: Snapshot) -> Iterator[Reason]:
    """What is to be said of the shape's table, its keys and the columns it names; ``before`` is the schema that it was sent to."""
    relation, reason = find_relation(shape, snapshot, lineage)
    if reason is not None:
        yield reason
    if relation is None:
        return
    former = before.relations.get(relation.oid)
    for key in shape.keys:
        if key != UNSAID:
            yield from _key(key, shape, relation, lineage, former)
    if EVERYTHING in shape.named and former is not None and former is not relation:
        yield from _answers(shape, former, relation)
    for name in shape.named:
        if name not in (EVERYTHING, UNSAID) and name not in shape.keys:
            yield from _named(name, relation, lineage)
    if shape.operation in _MAKES_ROWS and relation.kind in ("r", "p") and UNSAID not in shape.keys:
        yield from _missing(shape, relation, lineage)


def find_relation(shape: RecentShape, snapshot: Snapshot, lineage: Lineage) -> tuple[Relation | None, Reason | None]:
    """The relation that the shape's name means, and what is to be said about that."""
    message = f"Could not find the table '{shape.schema}.{shape.name}' in the schema cache"
    signature = f"unknown_table:{shape.name}"
    match lineage.resolve_relation(snapshot, shape.schema, shape.name):
        case Live(relation):
            return relation, None
        case Renamed(relation) if relation.schema == shape.schema or snapshot.exposed:
            return relation, Reason(Verdict.HEALS, f"{shape.name} is {relation.name} now; the old name is followed.", signature=signature)
        case Reused(live, former):
            names = " or ".join(sorted({live.name, *(each.name for each in former)}))
            if shape.operation in ("select", "call"):
                return live, Reason(Verdict.DEPENDS, f"The name {shape.name} has another owner now; it reads {live.name}.")
            return None, Reason(
                Verdict.BREAKS, f"{shape.name} could mean {names} now.", code="PGRST205", message=message, signature=signature
            )
        case Ambiguous(candidates):
            remedies = tuple(
                Remedy(f"send it to {each.name}", ({"op": "rename_table", "from": shape.name, "to": each.name},)) for each in candidates
            )
            sentence = f"{shape.name} is a former name that several tables had."
            return None, Reason(Verdict.BREAKS, sentence, code="PGRST205", message=message, signature=signature, remedies=remedies)
    return None, Reason(Verdict.BREAKS, f"There is no table {shape.name}.", code="PGRST205", message=message, signature=signature)


def _key(key: str, shape: RecentShape, relation: Relation, lineage: Lineage, former: Relation | None) -> Iterator[Reason]:
    """A key of the payload."""
    match lineage.resolve_column(relation, key):
        case Live():
            return
        case Renamed(column) if column.name not in shape.keys:
            yield Reason(Verdict.HEALS, f"{key} is {column.name} now; the old name is followed.", key, signature=f"unknown_column:{key}")
        case Renamed(column):
            yield _unknown(key, relation, f"{key} is {column.name} now, and the payload has both.", (_drop(key),))
        case Reused(live, owners):
            if all(owner.name in shape.keys and isinstance(lineage.resolve_column(relation, owner.name), Live) for owner in owners):
                return  # it uses the new names too, so it was written for that schema
            yield _reused(key, relation, live, owners)
        case Ambiguous(candidates):
            remedies = tuple(_rename(key, column) for column in candidates)
            yield _unknown(key, relation, f"{key} is a former name whose owner is not certain.", (*remedies, _drop(key)))
        case Retired(column):
            yield _unknown(key, relation, f"{key} was retired; it is {column.name}.", (_rename(key, column), _drop(key)))
        case Gone():
            yield _unknown(key, relation, f"{key} is gone.", _homes(key, shape, relation, former))
        case _:
            yield _unknown(key, relation, f"There is no column {key}.", _homes(key, shape, relation, former))


def _reused(key: str, relation: Relation, live: Column, owners: tuple[Column, ...]) -> Reason:
    meanings = ", ".join([live.name, *(owner.name for owner in owners)])
    message = f"The name '{key}' of '{relation.name}' meant another column before; it could mean: {meanings}"
    remedies = (
        *(_rename(key, owner) for owner in owners),
        Remedy(f"{key} means the column of that name", ({"op": "keep_name", "column": key},)),
    )
    sentence = f"{key} is another column's name now."
    return Reason(Verdict.NEEDS_RULE, sentence, key, "MG001", message, f"reused_name:{key}", remedies)


def _unknown(key: str, relation: Relation, sentence: str, remedies: tuple[Remedy, ...]) -> Reason:
    message = f"Could not find the '{key}' column of '{relation.name}' in the schema cache"
    return Reason(Verdict.NEEDS_RULE, sentence, key, "PGRST204", message, f"unknown_column:{key}", remedies)


def _homes(key: str, shape: RecentShape, relation: Relation, former: Relation | None) -> tuple[Remedy, ...]:
    """Where the value could go: a new column of the same type, a jsonb column, nowhere."""
    was = former.column(key) if former is not None else None
    fresh = [c for c in relation.columns if former is not None and former.by_attnum(c.attnum) is None and c.name not in shape.keys]
    twins = [_rename(key, c) for c in fresh if was is not None and (c.base, c.array) == (was.base, was.array)]
    spare = [c for c in relation.columns if c.base == "jsonb" and not c.array and c.name not in shape.keys]
    rescues = [Remedy(f"keep {key} inside {c.name}", ({"op": "rescue", "column": key, "into": c.name},)) for c in spare[:1]]
    return (*twins, *rescues, _drop(key))


def _rename(key: str, column: Column) -> Remedy:
    return Remedy(f"put {key} into {column.name}", ({"op": "rename_column", "from": key, "to": column.name},))


def _drop(key: str) -> Remedy:
    return Remedy(f"leave {key} out", ({"op": "drop_key", "column": key},))


def _named(name: str, relation: Relation, lineage: Lineage) -> Iterator[Reason]:
    """A column in a filter, select, order or on_conflict."""
    if relation.column(name) is not None:
        return
    match lineage.resolve_column(relation, name):
        case Renamed(column):
            yield Reason(Verdict.HEALS, f"{name} is {column.name} now; the old name is followed, in answers too.", name)
        case _:
            yield Reason(Verdict.BREAKS, f"There is no column {name}.", name, "42703", f"column {relation.name}.{name} does not exist")


def _answers(shape: RecentShape, former: Relation, relation: Relation) -> Iterator[Reason]:
    """Whoever asked for everything gets everything under today's names."""
    for column in former.columns:
        now = relation.by_attnum(column.attnum)
        if now is None:
            yield Reason(Verdict.DEPENDS, f"Answers lack {column.name} (all columns are asked for).", column.name)
        elif now.name != column.name and column.name not in shape.keys:
            sentence = f"Answers say {now.name} instead of {column.name} (all columns are asked for, by no name)."
            yield Reason(Verdict.DEPENDS, sentence, column.name)


def _missing(shape: RecentShape, relation: Relation, lineage: Lineage) -> Iterator[Reason]:
    """Columns that every new row needs and this one lacks."""
    given = set(shape.keys)
    for key in shape.keys:
        match lineage.resolve_column(relation, key):
            case Renamed(column):
                given.add(column.name)
    for column in relation.columns:
        filled = column.nullable or column.default is not None or column.identity or column.generated
        if not filled and column.name not in given:
            yield missing(column, relation)


def missing(column: Column, relation: Relation) -> Reason:
    """The 23502 of a row without a value for that column."""
    message = f'null value in column "{column.name}" of relation "{relation.name}" violates not-null constraint'
    verdict = Verdict.DEPENDS if relation.has_before_triggers else Verdict.NEEDS_RULE
    sentence = f"{column.name} must be given and is not."
    if relation.has_before_triggers:
        sentence = f"{column.name} must be given and is not, unless a trigger fills it."
    return Reason(verdict, sentence, column.name, "23502", message, f"missing_value:{column.name}", _fills(column))


def _fills(column: Column) -> tuple[Remedy, ...]:
    if column.base in ("uuid", "text") and column.name.endswith(("user_id", "owner_id", "created_by", "owner")):
        return (Remedy(f"fill {column.name} with the caller's id", ({"op": "fill", "column": column.name, "claim": "sub"},)),)
    return (Remedy(f"fill {column.name} with a constant, another key or a claim: a person must say which"),)
