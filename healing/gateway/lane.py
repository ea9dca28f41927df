"""The fast lane: inserts that are clean, or healed exactly, share a statement with others like them.

``try_lane`` answers the request, or says that the slow path must take it (with what the database said, if it was asked).
The lane is only for what it can do without loss: plain rows of one shape, plain columns in the answer, no trigger on insert,
no idempotency record, no count.
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog; values are parameters, or constants quoted here
from __future__ import annotations

import re
from collections.abc import Sequence

import asyncpg

from healing.core import fixes, verify
from healing.core.mend import Context, Mended, mend
from healing.core.quick import mend_shape, shape_of
from healing.core.types import Failure, Healing, Kind, Operation, Row
from healing.core.vet import clean
from healing.gateway import receipts
from healing.gateway.answer import Answer
from healing.gateway.attempt import Attempt, healing_headers, prelude_of
from healing.gateway.coalesce import MOST_BYTES, MOST_ROWS, Item, Lane, NotMeant
from healing.gateway.identity import identity_sql
from healing.gateway.plan_write import row_select
from healing.gateway.response import render_write
from healing.gateway.sqltext import ident, qualified
from healing.gateway.target import DatabaseError
from schema_monitor.core.snapshot import Relation

_PLAIN_KINDS = ("r", "p")
_UNKNOWN = ("MG504", "XX000")
"""Failures after which the rows may have been stored: never sent a second time."""
_OWN_FUNCTION = re.compile(r"(?<![\w\".])(?!auth\.)[\w\"]+\.[\w\"]+\(")
"""A call of a function outside pg_catalog (names are qualified in the catalog's texts); Supabase's auth.* read claims only."""


async def try_lane(attempt: Attempt) -> Answer | Failure | None:
    """The answer; or why the database refused the rows as they were sent; or None (not for the lane)."""
    relation = attempt.find_relation() if _suits(attempt) else None
    if relation is None or relation.name != attempt.request.name or not _plain(relation):
        return None
    mended = _mended(attempt, relation)
    if mended is None:
        return None
    keys = _keys(mended.statement.rows, mended.statement.columns)
    asked = {a.fix.target: a.fix.source for a in mended.applied if isinstance(a.fix, fixes.RenameColumn)}
    shown = row_select(attempt.request, relation, attempt.names, asked) if attempt.request.preferences.full else ""
    if keys is None or shown is None or ((mended.applied or mended.changes) and not await attempt.services.has_our_schema()):
        return None
    if any(relation.column(key) is None for key in keys):
        return None
    return await _insert(attempt, relation, mended, keys, shown, asked)


def _suits(attempt: Attempt) -> bool:
    request, payload = attempt.request, attempt.payload
    preferences = request.preferences
    return (
        attempt.statement.operation is Operation.INSERT
        and attempt.level is not Healing.OFF
        and 0 < len(payload.rows) <= MOST_ROWS
        and len(payload.inner) <= MOST_BYTES
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
        and (request.accept.kind == "json" or (request.accept.kind == "object" and len(payload.rows) == 1))
    )


def _plain(relation: Relation) -> bool:
    """A table without insert triggers whose defaults and policies cannot ask for the request's headers, which the lane leaves out."""
    texts = (*relation.policies, *(column.default or "" for column in relation.columns))
    asked = any("request.headers" in text or _OWN_FUNCTION.search(text) for text in texts)
    return relation.kind in _PLAIN_KINDS and not asked and not any(" INSERT " in trigger for trigger in relation.triggers)


def _mended(attempt: Attempt, relation: Relation) -> Mended | None:
    """The statement, put right where that is exact or approved; None where anything is left over."""
    if _needs_nothing(attempt, relation):
        return Mended(attempt.statement)
    context = attempt.context()
    mended = _quick(attempt, context) or mend(attempt.statement, context)
    if mended.misfits or mended.computed or (mended.changes and attempt.strict):
        return None
    return mended


def _needs_nothing(attempt: Attempt, relation: Relation) -> bool:
    """Every row is clean, no key is left out by ``columns``, no rule could add a value, and no text holds a NUL."""
    statement, state = attempt.statement, attempt.services.state
    vet = state.vet(relation)
    if b"\\u0000" in attempt.payload.inner or not all([clean(row, vet) for row in statement.rows]):
        return False
    listed = statement.columns
    if listed is not None and any([key not in listed for row in statement.rows for key in row]):
        return False
    rules = state.rules_for(relation, "insert")
    return not any([Kind.MISSING_VALUE in rule.signature for rule in rules])


def _quick(attempt: Attempt, context: Context) -> Mended | None:
    """The quick way for rows of one known shape."""
    statement, relation = attempt.statement, context.relation
    keys = _keys(statement.rows, None)
    if keys is None or relation is None or statement.columns is not None or b"\\u0000" in attempt.payload.inner:
        return None
    shapes, place = attempt.services.state.shapes, (relation.oid, keys, attempt.level)
    if place not in shapes:
        if len(shapes) > 5_000:
            shapes.clear()
        shapes[place] = shape_of(keys, context)
    shape = shapes[place]
    return None if shape is None else mend_shape(statement, shape, context)


def _keys(rows: tuple[Row, ...], columns: tuple[str, ...] | None) -> tuple[str, ...] | None:
    """The keys that every row has; None for a ragged or empty shape."""
    first = columns if columns is not None else tuple(rows[0])
    if columns is None and len(rows) > 1:
        shape = rows[0].keys()
        if any([row.keys() != shape for row in rows]):
            return None
    return first or None


async def _insert(
    attempt: Attempt, relation: Relation, mended: Mended, keys: tuple[str, ...], shown: str, asked: dict[str, str]
) -> Answer | Failure | None:
    touched = _touched(mended)
    lane = Lane(
        f"BEGIN;{prelude_of(attempt.caller, attempt.request, {}, shared=True)}",
        _sql(attempt, relation, keys, shown, touched),
        bool(shown or touched),
    )
    same = mended.statement.rows is attempt.payload.rows
    text = attempt.payload.inner if same else receipts.encode(mended.statement.rows)[1:-1]
    receipt = _receipt(attempt, relation, mended)
    item = Item(text, len(mended.statement.rows), receipt.values_sql() if receipt else "")
    if touched:
        item.accept = lambda records: _as_meant(mended, touched, records, relation)
    try:
        records = await attempt.services.coalescer.insert(lane, item)
    except NotMeant:
        return None
    except DatabaseError as error:
        if error.failure.code in _UNKNOWN:
            raise attempt.error_of(error.failure) from error
        return error.failure if not mended.applied and not mended.changes and same else None
    body = "[" + ",".join([record["row"] for record in records]) + "]" if shown else None
    answer = render_write(attempt.request, body=body, affected=item.count, inserted=None, total=None)
    if receipt is None:
        return answer
    applied = tuple(a.fix for a in mended.applied)
    return answer.plus(*healing_headers(receipt.id, applied, mended.changes))


def _receipt(attempt: Attempt, relation: Relation, mended: Mended) -> receipts.Receipt | None:
    if not (mended.applied or mended.changes):
        return None
    return receipts.make(
        receipts.new_id(),
        "committed",
        attempt.statement,
        relation.name,
        attempt.caller,
        applied=mended.applied,
        changes=mended.changes,
        stored=mended.statement.rows,
    )


def _touched(mended: Mended) -> tuple[str, ...]:
    """The live columns that a fix wrote to: these are read back. Without an insert trigger the others cannot differ."""
    return tuple(sorted({key for a in mended.applied for key in fixes.touches(a.fix)}))


def _as_meant(mended: Mended, touched: tuple[str, ...], records: Sequence[asyncpg.Record], relation: Relation) -> bool:
    """Whether the healed columns were stored as meant. Anything that differs is for the slow path to look at."""
    announced = {change.column for change in mended.changes}
    if not records[0]["same"]:
        return False
    for row, record in zip(mended.statement.rows, records, strict=True):
        meant = {key: row[key] for key in touched if key in row}
        stored = receipts.decode(record["back"])
        if meant == stored:
            continue
        found = verify.compare(meant, stored, relation, frozenset(touched))
        if any(change.column not in announced for change in found):
            return False
    return True


def _sql(attempt: Attempt, relation: Relation, keys: tuple[str, ...], shown: str, touched: tuple[str, ...]) -> str:
    cache, place = attempt.services.statements, (relation.oid, relation.fingerprint, keys, shown, touched)
    found = cache.get(place)
    if found is None:
        if len(cache) > 5_000:
            cache.clear()
        found = cache[place] = _compose(relation, keys, shown, touched)
    return found


def _compose(relation: Relation, keys: tuple[str, ...], shown: str, touched: tuple[str, ...]) -> str:
    columns = [column for key in keys if (column := relation.column(key)) is not None]
    names = ", ".join(ident(column.name) for column in columns)
    typed = ", ".join(f"{ident(column.name)} {column.type}" for column in columns)
    target = qualified(relation.schema, relation.name)
    insert = f"INSERT INTO {target}({names}) SELECT {names} FROM json_to_recordset($1::json) AS _({typed})"
    if not shown and not touched:
        return f"WITH w AS ({insert} RETURNING 1) SELECT count(*) AS n, pg_current_xact_id()::text AS xid FROM w"
    row = f"(SELECT row_to_json(r)::text FROM (SELECT {shown}) r) AS row, " if shown else ""
    read = ", ".join(ident(name) for name in touched)
    back = f"(SELECT row_to_json(b)::text FROM (SELECT {read}) b) AS back, {identity_sql(relation, keys)} AS same, " if touched else ""
    return f"{insert} RETURNING {row}{back}pg_current_xact_id()::text AS xid"
