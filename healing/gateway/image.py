"""What a healed update or upsert is about to change: read and locked in its own transaction, as the caller, so that it can be taken back.

Only the primary key and the columns that are written; for a table without a key, or a write to the key itself, there is no image.
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog, values only as parameters
from __future__ import annotations

from collections.abc import Mapping, Sequence

from healing.core.types import Operation, Row, Statement
from healing.gateway.conflict import conflict_columns, merges
from healing.gateway.expressions import Scope
from healing.gateway.names import Names
from healing.gateway.plan_write import root_tests
from healing.gateway.request import Request
from healing.gateway.sqltext import Params, Query, ident, qualified
from healing.gateway.where import where_sql
from schema_monitor.core.snapshot import Relation

_TABLES = ("r", "p")


def with_key(back: tuple[str, ...], relation: Relation) -> tuple[str, ...]:
    """What is read back of a healed write, with what says which row it was."""
    return tuple(dict.fromkeys((*back, *relation.primary_key))) if back and relation.kind in _TABLES else back


def image_of(
    request: Request,
    statement: Statement,
    relation: Relation,
    names: Names,
    asked: Mapping[str, str],
    back: tuple[str, ...],
    *,
    writers: bool = False,
) -> Query | None:
    """One record with ``rows``: a JSON array of the rows as they are, by key. For an upsert the payload's rows go into ``params[0]``.
    ``writers``: each row also says who wrote it last, as ``xmin``, which no column can be called."""
    if not back or not relation.primary_key or relation.kind not in _TABLES:
        return None
    match statement.operation:
        case Operation.UPDATE if not {*relation.primary_key} & {*(statement.columns or statement.rows[0])}:
            scope = Scope(names.with_sent(relation, asked), Params())
            return Query(_select(relation, back, where_sql(root_tests(scope, request, relation)), writers), scope.params.values)
        case Operation.UPSERT if merges(request):
            return _of_upsert(request, relation, names, back, writers)
    return None


def _of_upsert(request: Request, relation: Relation, names: Names, back: tuple[str, ...], writers: bool) -> Query | None:
    target = [column for name in conflict_columns(request, relation, names) if (column := relation.column(name)) is not None]
    if not target:
        return None
    alias = ident(relation.name)
    typed = ", ".join(f"{ident(c.name)} {c.type}" for c in target)
    same = " AND ".join(f"{alias}.{ident(c.name)} = _v.{ident(c.name)}" for c in target)
    test = f" WHERE EXISTS (SELECT FROM json_to_recordset($1::json) AS _v({typed}) WHERE {same})"
    return Query(_select(relation, back, test, writers), (None,))


def _select(relation: Relation, back: tuple[str, ...], where: str, writers: bool) -> str:
    alias = ident(relation.name)
    columns = ", ".join(f"{alias}.{ident(name)}" for name in with_key(back, relation)) + f", {alias}.xmin::text AS xmin" * writers
    rows = f"SELECT {columns} FROM {qualified(relation.schema, relation.name)} AS {alias}{where} FOR NO KEY UPDATE OF {alias}"
    return f"SELECT coalesce(json_agg(r.*), '[]'::json)::text AS rows FROM ({rows}) AS r"


def last_writer(relation: Relation | None, stored: Sequence[Row] | None) -> Query | None:
    """Asks who wrote these rows last: in a savepoint that is nobody whose name can be told beforehand. One record with ``writer``; the rows
    go into ``params[0]``. None where the rows cannot be found again."""
    if relation is None or not stored or not relation.primary_key or relation.kind not in _TABLES:
        return None
    key = [column for name in relation.primary_key if (column := relation.column(name)) is not None]
    if any(column.name not in row for column in key for row in stored):
        return None
    typed = ", ".join(f"{ident(c.name)} {c.type}" for c in key)
    same = " AND ".join(f"x.{ident(c.name)} = _v.{ident(c.name)}" for c in key)
    table = qualified(relation.schema, relation.name)
    sql = f"SELECT x.xmin::text AS writer FROM {table} AS x JOIN json_to_recordset($1::json) AS _v({typed}) ON {same} LIMIT 1"
    return Query(sql, (None,))


def sound(before: list[Row] | None, stored: Sequence[Row] | None, operation: Operation, relation: Relation, inserted: int | None) -> bool:
    """Whether the image tells of every stored row what was there before. One that slipped in between (the key was free when we looked, and
    taken when we wrote) makes it worthless: taking it back would delete somebody else's row."""
    if before is None or stored is None:
        return False
    known = {_key(row, relation) for row in before}
    found = sum(_key(row, relation) in known for row in stored)
    if operation is Operation.UPDATE:
        return found == len(stored)
    return inserted == len(stored) - found


def _key(row: Row, relation: Relation) -> tuple[str, ...]:
    return tuple(repr(row.get(name)) for name in relation.primary_key)
