"""A function call: one statement that yields one record ``body text, n int8, total int8, response_headers text,
response_status text``, the last two being what the function set by ``set_config('response.headers', …)``.

By POST the arguments come as one JSON object in $1; by GET from the query string, each as text. By GET and HEAD, and for functions
that are stable or immutable, the query is ``read_only``: the caller opens a read-only transaction.
"""

# ruff: noqa: S608 - identifiers come quoted from the catalog, values only as parameters
from __future__ import annotations

from msgspec import Struct

from healing.gateway.errors import affected_needs_set, not_implemented
from healing.gateway.expressions import Scope
from healing.gateway.functions import Called, find_function, inputs_of, is_scalar, result_of
from healing.gateway.names import Names
from healing.gateway.plan_read import rows_as, stripped, total_sql
from healing.gateway.request import READS, Request
from healing.gateway.returning import computed_items
from healing.gateway.select import STAR
from healing.gateway.sqltext import Params, Query, argument_type, ident, qualified
from healing.gateway.tree import CALLED, Node, called_tree
from healing.gateway.tree_sql import select_sql
from healing.gateway.where import array_literal
from schema_monitor.core.snapshot import Argument, Function, Relation

_SETTINGS = (
    "nullif(current_setting('response.headers', true), '') AS response_headers, "
    "nullif(current_setting('response.status', true), '') AS response_status"
)


class Call(Struct, frozen=True):
    """The plan of a call."""

    query: Query
    function: Function
    void: bool = False
    given: tuple[str, ...] = ()
    """the arguments that the caller named."""


def plan_rpc(
    request: Request,
    names: Names,
    *,
    given: tuple[str, ...] = (),
    body: str | None = None,
    content_type: str = "application/json",
) -> Call:
    """The call of ``request.name``. For POST, ``given`` are the keys of the JSON object and ``body`` its text (or the raw body
    for a single unnamed argument)."""
    reading = request.method in READS
    if reading:
        given = tuple(dict.fromkeys(name for name, _ in request.arguments))
    called = find_function(names.snapshot, request.schema, request.name, given, post=not reading, content_type=content_type)
    function = called.function
    _check_affected(request, function)
    params = Params() if reading else Params(body)
    source = _direct(request, called, params, given) if reading else _from_body(called, params, given)
    scope = Scope(names, params)
    only_reads = reading or function.volatility in ("i", "s")
    query = _scalar(request, scope, function, source) if is_scalar(function) else _rows(request, scope, function, source)
    return Call(Query(query, params.values, only_reads), function, function.returns == "void", given)


def _check_affected(request: Request, function: Function) -> None:
    preferences = request.preferences
    if preferences.strict and preferences.max_affected is not None and not function.returns_set:
        raise affected_needs_set()


def _direct(request: Request, called: Called, params: Params, given: tuple[str, ...]) -> str:
    """`` FROM`` the call with arguments from the query string; a variadic one takes all values of its name."""
    arguments = [a for a in inputs_of(called.function) if a.name in given]
    values = {name: [v for n, v in request.arguments if n == name] for name in given}
    passed = ", ".join(_passed(a, params.text(_text_of(a, values[a.name]), argument_type(a))) for a in arguments)
    return _call(called.function, passed)


def _text_of(argument: Argument, values: list[str]) -> str:
    several = argument.mode == "v" and (len(values) > 1 or not values[0].startswith("{"))
    return array_literal(tuple(values)) if several else values[-1]


def _from_body(called: Called, params: Params, given: tuple[str, ...]) -> str:
    """`` FROM`` the call with arguments from the JSON object in $1."""
    function = called.function
    if called.unnamed:
        argument = inputs_of(function)[0]
        if argument.type == "bytea":
            return _call(function, "convert_to($1::text, 'UTF8')")
        return _call(function, f"$1::text::{argument_type(argument)}")
    arguments = [a for a in inputs_of(function) if a.name in given]
    if not arguments:
        return f"{_call(function, '')} WHERE $1::text IS NOT NULL OR $1::text IS NULL"
    typed = ", ".join(f"{ident(a.name)} {argument_type(a)}" for a in arguments)
    passed = ", ".join(_passed(a, f"a.{ident(a.name)}") for a in arguments)
    return f" FROM json_to_record($1::json) AS a({typed}), LATERAL{_call(function, passed).removeprefix(' FROM')}"


def _passed(argument: Argument, value: str) -> str:
    return f"{'VARIADIC ' if argument.mode == 'v' else ''}{ident(argument.name)} => {value}"


def _call(function: Function, passed: str) -> str:
    call = f"{qualified(function.schema, function.name)}({passed})"
    return f" FROM (SELECT {call} AS scalar) AS f" if is_scalar(function) else f" FROM {call} AS f"


def _scalar(request: Request, scope: Scope, function: Function, source: str) -> str:
    """One value as it is, a set of values as an array. There are no columns to select, filter or order by."""
    if request.filters or request.orders or request.select not in ((STAR,), ()):
        raise not_implemented(f"select, filters and order on the function {function.name}, which returns single values")
    if request.accept.kind == "csv":
        raise not_implemented("CSV of a function that returns single values")
    rows = stripped("json_agg(t.scalar)", request.accept)
    if function.returns_set and request.accept.kind != "object":
        body = f"coalesce({rows}, '[]'::json)::text"
    else:
        body = f"coalesce(({rows} -> 0)::text, 'null')"
    body = "NULL::text" if request.head or function.returns == "void" else body
    total = "count(*)" if request.preferences.count else "NULL::int8"
    limit = _limit(scope, request)
    return (
        f"WITH source AS (SELECT f.scalar{source}{limit}) "
        f"SELECT {body} AS body, count(*) AS n, {total} AS total, {_SETTINGS} FROM source AS t"
    )


def _limit(scope: Scope, request: Request) -> str:
    sql = "" if request.limit is None else f" LIMIT {scope.params.add(request.limit)}::int8"
    return f"{sql} OFFSET {scope.params.add(request.offset)}::int8" if request.offset else sql


def _rows(request: Request, scope: Scope, function: Function, source: str) -> str:
    """Rows, which may be selected from, filtered, ordered, ranged and embedded in like a table's."""
    shape = result_of(scope.snapshot, function)
    relation = shape or Relation(0, function.schema, function.name, "c", ())
    tree = called_tree(request, scope.names, relation, open_=shape is None)
    rows = select_sql(scope, tree)
    total = _total(scope, tree, request)
    if request.head:
        body = "NULL::text"
    elif function.returns_set or request.accept.kind != "json":
        body = rows_as(request.accept)
    else:
        body = f"coalesce(({stripped('json_agg(t.*)', request.accept)} -> 0)::text, 'null')"
    return (
        f"WITH {CALLED} AS (SELECT {', '.join(('f.*', *computed_items(scope, tree, 'f')))}{source}), source AS ({rows}) "
        f"SELECT {body} AS body, count(*) AS n, {total} AS total, {_SETTINGS} FROM source AS t"
    )


def _total(scope: Scope, tree: Node, request: Request) -> str:
    """Any kind of count is exact here: the rows are there already."""
    return total_sql(scope, tree, "exact" if request.preferences.count else None)
