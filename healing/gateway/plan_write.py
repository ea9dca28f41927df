"""POST, PATCH, PUT and DELETE of a table: one statement that yields one record.

    body text|null       JSON array (or CSV) of the representation, where it was asked
    n int8               rows affected
    inserted int8|null   of an upsert that merges
    total int8|null      as n, where a count was asked
    back text|null       JSON array of the live columns ``back`` of the affected rows, in statement order
    location text|null   JSON object of the primary key of a single insert, for ``return=headers-only``
    xid text             the transaction's id
    same bool            whether the names in it mean the columns that were meant (``identity``)

Inserts and updates leave ``params[0]`` None: there goes the JSON array of the rows as text, under live names.
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog, values only as parameters
from __future__ import annotations

from collections.abc import Mapping

from healing.gateway.conflict import INSERTED, RESET, conflict_columns, conflict_sql, count_by, merges
from healing.gateway.errors import not_implemented, put_filters, unknown_column
from healing.gateway.expressions import Scope
from healing.gateway.filters import Filter
from healing.gateway.identity import identity_sql
from healing.gateway.names import Names
from healing.gateway.plan_read import rows_as
from healing.gateway.request import Request
from healing.gateway.returning import returning_sql
from healing.gateway.rows_sql import ROWS, row_value, rows_from
from healing.gateway.select import STAR, SelectField
from healing.gateway.sqltext import Params, Query, cast_type, ident, qualified
from healing.gateway.tree import WRITTEN, Node, written_tree
from healing.gateway.tree_sql import Output, select_sql
from healing.gateway.where import condition_sql, where_sql
from schema_monitor.core.snapshot import Column, Relation

Asked = Mapping[str, str]
"""Live column -> the name that the caller sent for it, where healing changed it."""


def plan_insert(
    request: Request, relation: Relation, keys: tuple[str, ...], names: Names, *, asked: Asked, back: tuple[str, ...] | None
) -> Query:
    """INSERT or upsert of the rows in $1, which have the live columns ``keys``."""
    scope = Scope(names.with_sent(relation, asked), Params(None))
    columns = _columns(relation, keys)
    target = conflict_columns(request, relation, names)
    counted = bool(target) and merges(request) and bool(columns)
    defaults = request.preferences.missing_default
    values = ", ".join(row_value(relation, column, scope.params, defaults=defaults) for column in columns)
    tests = _put_tests(scope, request, relation) if request.method == "PUT" else []
    tests += [count_by(1)] if counted else []
    into = f" ({', '.join(ident(column.name) for column in columns)})" if columns else ""
    rows = rows_from(columns, defaults=defaults) + (", zero" if counted else "")
    write = (
        f"INSERT INTO {qualified(relation.schema, relation.name)} AS {ident(relation.name)}{into} SELECT {values}{rows}"
        f"{where_sql(tests)}{conflict_sql(request, target, columns)}"
    )
    return _wrapped(scope, request, relation, write, asked=asked, back=back, keys=keys, counted=counted)


def plan_update(
    request: Request, relation: Relation, keys: tuple[str, ...], names: Names, *, asked: Asked, back: tuple[str, ...] | None
) -> Query:
    """UPDATE of the rows that the request's filters choose, by the one row in $1. Without keys nothing is affected."""
    _refuse_offset(request)
    scope = Scope(names.with_sent(relation, asked), Params(None))
    columns = _columns(relation, keys)
    table, alias = qualified(relation.schema, relation.name), ident(relation.name)
    if not columns:
        return _wrapped(scope, request, relation, "", asked=asked, back=back)
    defaults = request.preferences.missing_default
    sets = ", ".join(f"{ident(column.name)} = {row_value(relation, column, scope.params, defaults=defaults)}" for column in columns)
    tests = root_tests(scope, request, relation)
    write = f"UPDATE {table} AS {alias} SET {sets}{rows_from(columns, defaults=defaults)}{where_sql(tests)}"
    return _wrapped(scope, request, relation, write, asked=asked, back=back, keys=keys)


def plan_delete(request: Request, relation: Relation, names: Names, *, asked: Asked, back: tuple[str, ...] | None) -> Query:
    """DELETE of the rows that the request's filters choose."""
    _refuse_offset(request)
    scope = Scope(names.with_sent(relation, asked), Params())
    tests = root_tests(scope, request, relation)
    write = f"DELETE FROM {qualified(relation.schema, relation.name)} AS {ident(relation.name)}{where_sql(tests)}"
    return _wrapped(scope, request, relation, write, asked=asked, back=back)


def row_select(request: Request, relation: Relation, names: Names, asked: Asked) -> str | None:
    """The list after SELECT or RETURNING that shows one row, where that is plain columns of the table (by its own name);
    None where it is more than that."""
    names = names.with_sent(relation, asked)
    items: list[str] = []
    for item in request.select:
        if not isinstance(item, SelectField) or item.aggregate is not None or item.field.path:
            return None
        if item == STAR:
            names.use_all(relation)
            items.append(f"{ident(relation.name)}.*")
            items += [f"{extra.sql} AS {ident(extra.name or '')}" for extra in _extras(relation, request, asked)]
            continue
        column = names.find_column(relation, item.field.name)
        if column is None:
            return None
        sql = f"{ident(relation.name)}.{ident(column.name)}"
        sql = sql if item.cast is None else f"CAST({sql} AS {cast_type(item.cast, names.snapshot)})"
        items.append(f"{sql} AS {ident(item.alias or item.field.name)}")
    return ", ".join(items) or None


def _wrapped(
    scope: Scope,
    request: Request,
    relation: Relation,
    write: str,
    *,
    asked: Asked,
    back: tuple[str, ...] | None,
    keys: tuple[str, ...] = (),
    counted: bool = False,
) -> Query:
    """The write as a common table expression, and the record made of what it returned."""
    tree = written_tree(request, scope.names, relation)
    shown = tree if request.preferences.full else None
    key = relation.primary_key if _locates(request) else ()
    returned = returning_sql(scope, relation, shown, (*(back or ()), *key))
    parts = [RESET] if counted else []
    parts.append(f"{WRITTEN} AS ({_returning(write, relation, returned, request)})")
    if shown is not None:
        parts.append(f"source AS ({select_sql(scope, shown, _extras(relation, request, asked))})")
    record = ", ".join(
        (
            f"{rows_as(request.accept, single=False) if shown else 'NULL::text'} AS body",
            f"(SELECT count(*) FROM {WRITTEN}) AS n",
            f"{INSERTED if counted else 'NULL::int8'} AS inserted",
            f"{f'(SELECT count(*) FROM {WRITTEN})' if _counts(request) else 'NULL::int8'} AS total",
            f"{_json_of(back)} AS back",
            f"{_location(key)} AS location",
            "pg_current_xact_id()::text AS xid",
            f"{_proof(scope, relation, keys, asked)} AS same",
        )
    )
    rows = "source AS t" if shown else f"(SELECT count(*) FROM {WRITTEN}) AS t"
    return Query(f"WITH {', '.join(parts)} SELECT {record} FROM {rows}", scope.params.values)


def _proof(scope: Scope, relation: Relation, keys: tuple[str, ...], asked: Asked) -> str:
    """Of the columns that are written, and of those that choose rows or are shown."""
    chosen = [name for oid, name in scope.names.meant if oid == relation.oid]
    return identity_sql(relation, (*keys, *chosen), asked.values())


def _returning(write: str, relation: Relation, returned: str, request: Request) -> str:
    if write:
        return f"{write} RETURNING {returned}"
    table = "" if returned == "1" else f" FROM {qualified(relation.schema, relation.name)} AS {ident(relation.name)}"
    return f"SELECT {returned}{table} WHERE false AND $1::json IS NULL"


def _json_of(columns: tuple[str, ...] | None) -> str:
    if columns is None:
        return "NULL::text"
    listed = ", ".join(map(ident, columns))
    return f"(SELECT coalesce(json_agg(r.*), '[]'::json)::text FROM (SELECT {listed} FROM {WRITTEN}) AS r)"


def _location(key: tuple[str, ...]) -> str:
    if not key:
        return "NULL::text"
    listed = ", ".join(map(ident, key))
    one = f"(SELECT count(*) FROM {WRITTEN}) = 1"
    return f"CASE WHEN {one} THEN (SELECT row_to_json(r.*)::text FROM (SELECT {listed} FROM {WRITTEN}) AS r) END"


def _locates(request: Request) -> bool:
    return request.method == "POST" and request.preferences.representation == "headers-only"


def _counts(request: Request) -> bool:
    return request.preferences.count is not None


def _columns(relation: Relation, keys: tuple[str, ...]) -> tuple[Column, ...]:
    columns = []
    for key in keys:
        column = relation.column(key)
        if column is None:
            raise unknown_column(relation.name, key)
        columns.append(column)
    return tuple(columns)


def _extras(relation: Relation, request: Request, asked: Asked) -> tuple[Output, ...]:
    """With ``select=*`` a caller reads its own names back, beside the live ones."""
    if STAR not in request.select:
        return ()
    alias = ident(relation.name)
    return tuple(
        Output(f"{alias}.{ident(live)}", sent)
        for live, sent in asked.items()
        if relation.column(live) is not None and relation.column(sent) is None
    )


def root_tests(scope: Scope, request: Request, relation: Relation) -> list[str]:
    """The root's filters on the table that is written. They note names that meant another column once."""
    careful = Scope(scope.names, scope.params, True)
    node = Node(relation, relation.name, "")
    return [condition_sql(careful, node, condition) for condition in request.root_filters]


def _put_tests(scope: Scope, request: Request, relation: Relation) -> list[str]:
    """PUT: exactly the primary key, each part by ``eq``; tested on the payload's row."""
    named: list[str] = []
    for condition in request.root_filters:
        if not isinstance(condition, Filter) or condition.operator != "eq" or condition.negated or condition.quantifier:
            raise put_filters()
        named.append(scope.names.column(relation, condition.field.name, careful=True).name)
    if not named or sorted(named) != sorted(relation.primary_key):
        raise put_filters()
    node = Node(relation, ROWS, "")
    return [condition_sql(scope, node, condition) for condition in request.root_filters]


def _refuse_offset(request: Request) -> None:
    if request.offset:
        raise not_implemented(f"offset has no meaning for {request.method}")
