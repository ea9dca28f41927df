"""GET and HEAD of a table: one statement that yields one record ``body text, n int8, total int8``.

``total`` is null where no count was asked. For ``count=planned`` and ``estimated`` the query carries a ``count_query``: an
EXPLAIN that the caller runs in the same transaction and hands to ``response.total_of``.
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog, values only as parameters
from __future__ import annotations

from healing.gateway.accept import Accept
from healing.gateway.expressions import Scope
from healing.gateway.names import Names
from healing.gateway.request import Request
from healing.gateway.sqltext import Params, Query
from healing.gateway.tree import Node, read_tree
from healing.gateway.tree_sql import count_sql, select_sql

COUNTED = 1000
"""``count=estimated`` counts so many rows exactly and asks the planner above it."""


def plan_read(request: Request, names: Names) -> Query:
    """The query for a read of ``request.name``. Names that were followed are in ``names.healed``."""
    node = read_tree(request, names, names.relation(request.schema, request.name))
    scope = Scope(names, Params())
    rows = select_sql(scope, node)
    total = total_sql(scope, node, request.preferences.count)
    body = "NULL" if request.head else rows_as(request.accept)
    sql = f"WITH source AS ({rows}) SELECT {body} AS body, count(*) AS n, {total} AS total FROM source AS t"
    return Query(sql, scope.params.values, read_only=True, count_query=planned_query(request, names, node))


def rows_as(accept: Accept, *, single: bool = True) -> str:
    """The rows ``t`` of ``source`` as text in the accepted form; without ``single`` one object stays in its array."""
    if accept.kind == "csv":
        return (
            "(SELECT coalesce(string_agg(k, ','), '') FROM (SELECT json_object_keys(row_to_json(h.*)) AS k"
            " FROM (SELECT * FROM source LIMIT 1) AS h) AS a)"
            " || E'\\n' || coalesce(string_agg(substring((t.*)::text, 2, length((t.*)::text) - 2), E'\\n'), '')"
        )
    rows = stripped("json_agg(t.*)", accept)
    return f"({rows} -> 0)::text" if accept.kind == "object" and single else f"coalesce({rows}, '[]'::json)::text"


def stripped(sql: str, accept: Accept) -> str:
    """The same JSON without its nulls, where that was asked."""
    return f"json_strip_nulls({sql})" if accept.strip else sql


def total_sql(scope: Scope, node: Node, count: str | None) -> str:
    """How many rows there are without limit and offset; up to ``COUNTED`` + 1 for an estimate."""
    if count not in ("exact", "estimated"):
        return "NULL::int8"
    if node.range.everything and count == "exact":
        return "count(*)"
    limit = f" LIMIT {COUNTED + 1}" if count == "estimated" else ""
    return f"(SELECT count(*) FROM ({count_sql(scope, node)}{limit}) AS c)"


def planned_query(request: Request, names: Names, node: Node) -> Query | None:
    """The EXPLAIN for a planned or estimated count."""
    if request.preferences.count not in ("planned", "estimated"):
        return None
    scope = Scope(names, Params())
    return Query(f"EXPLAIN (FORMAT JSON) {count_sql(scope, node)}", scope.params.values, read_only=True)
