"""A tree of relations as one SELECT: embedded rows come as JSON through lateral joins."""

# ruff: noqa: S608 - identifiers come quoted from the catalog, values only as parameters
from __future__ import annotations

from msgspec import Struct

from healing.gateway.errors import not_embedded, not_implemented, related_order
from healing.gateway.expressions import Scope, computed_field, expression
from healing.gateway.field import Field
from healing.gateway.order import Order
from healing.gateway.select import STAR, SelectField
from healing.gateway.sqltext import cast_type, ident
from healing.gateway.tree import Node
from healing.gateway.where import exists_sql, from_sql, matching_sql, tests_of, where_sql

_COUNT = "mendgate count"


class Output(Struct, frozen=True):
    """One item of a SELECT list. ``name`` is None for ``t.*``. Where rows are grouped, ``json`` is compared as jsonb."""

    sql: str
    name: str | None
    aggregated: bool = False
    json: bool = False


def select_sql(scope: Scope, node: Node, extra: tuple[Output, ...] = ()) -> str:
    """SELECT for the rows of ``node``, one column for each key of the answer; ``extra`` columns come last."""
    outputs = [*_field_outputs(scope, node), *(o for child in node.children for o in _child_outputs(child)), *extra]
    joins = [join for child in node.children if (join := _join(scope, child))]
    tests = tests_of(scope, node)
    tests += [exists_sql(scope, child) for child in node.children if child.inner and child.empty]
    grouped = any(output.aggregated for output in outputs)
    columns = ", ".join(_item(output, grouped=grouped) for output in outputs)
    return (
        f"SELECT {columns}{from_sql(node)}{''.join(joins)}{where_sql(tests)}"
        f"{_group(outputs) if grouped else ''}{_order_sql(scope, node)}{_range_sql(scope, node)}"
    )


def count_sql(scope: Scope, node: Node) -> str:
    """SELECT of one constant for each row that the root has without its range."""
    return f"SELECT 1{matching_sql(scope, node)}"


def _item(output: Output, *, grouped: bool) -> str:
    sql = f"({output.sql})::jsonb" if grouped and output.json else output.sql
    return sql if output.name is None else f"{sql} AS {ident(output.name)}"


def _group(outputs: list[Output]) -> str:
    """By position: a name could mean an input column."""
    places = [str(i) for i, output in enumerate(outputs, 1) if not output.aggregated]
    return f" GROUP BY {', '.join(places)}" if places else ""


def _label(field: SelectField) -> str:
    if field.alias is not None:
        return field.alias
    return field.aggregate or field.field.label


def _field_outputs(scope: Scope, node: Node) -> list[Output]:
    grouped = any(_aggregates(scope, node, field) for field in node.fields)
    if grouped and node.spread:
        raise not_implemented("Aggregates in spread embeddings are not served.")
    outputs: list[Output] = []
    for field in node.fields:
        if field == STAR and grouped:
            outputs += [_field_output(scope, node, SelectField(Field(c.name))) for c in node.relation.columns]
        elif field == STAR:
            scope.names.use_all(node.relation)
            outputs.append(Output(f"{ident(node.alias)}.*", None))
        else:
            outputs.append(_field_output(scope, node, field))
    return outputs


def _aggregates(scope: Scope, node: Node, field: SelectField) -> bool:
    return field.aggregate is not None or _plain_count(scope, node, field)


def _plain_count(scope: Scope, node: Node, field: SelectField) -> bool:
    """``rel(count)``: the old way to count, by Postgres's functional notation."""
    if field.field != Field("count") or node.open or node.relation.column("count") is not None:
        return False
    return scope.names.find_column(node.relation, "count") is None and (computed_field(scope.snapshot, node.relation, "count") is None)


def _field_output(scope: Scope, node: Node, field: SelectField) -> Output:
    label = _label(field)
    if _plain_count(scope, node, field):
        return Output(_cast(scope, "count(*)", field.cast), label, True)
    if field.field.name == "*":
        return Output(_cast(scope, "count(*)", field.aggregate_cast), label, True)
    sql = _cast(scope, expression(scope, node, field.field).sql, field.cast)
    if field.aggregate is None:
        return Output(sql, label)
    return Output(_cast(scope, f"{field.aggregate}({sql})", field.aggregate_cast), label, True)


def _cast(scope: Scope, sql: str, type_: str | None) -> str:
    return sql if type_ is None else f"CAST({sql} AS {cast_type(type_, scope.snapshot)})"


def _joined(child: Node) -> str:
    """The alias of the lateral join."""
    return ident(f"{child.alias}j")


def _many(child: Node) -> bool:
    return child.link is not None and not child.link.to_one


def _child_outputs(child: Node) -> list[Output]:
    """What an embedding adds to its parent's row."""
    if child.spread:
        return [Output(f"{_joined(child)}.{ident(name)}", name, json=_many(child)) for name in _spread_names(child)]
    if child.empty:
        return []
    if _many(child):
        return [Output(f"coalesce({_joined(child)}.j, '[]'::json)", child.key, json=True)]
    return [Output(f"row_to_json({_joined(child)}.*)", child.key, json=True)]


def _spread_names(child: Node) -> list[str]:
    return list(dict.fromkeys(_names(child)))


def _names(child: Node) -> list[str]:
    names: list[str] = []
    for field in child.fields:
        names += [c.name for c in child.relation.columns] if field == STAR else [_label(field)]
    for inner in child.children:
        if inner.spread:
            names += _names(inner)
        elif not inner.empty:
            names.append(inner.key)
    return names


def _join(scope: Scope, child: Node) -> str:
    if child.empty:
        return ""
    kind = "INNER" if child.inner else "LEFT"
    alias = _joined(child)
    rows = select_sql(scope, child)
    if not _many(child):
        return f" {kind} JOIN LATERAL ({rows}) AS {alias} ON TRUE"
    if child.spread:
        return f" {kind} JOIN LATERAL ({_spread_many(child, rows)}) AS {alias} ON {_spread_test(child, alias)}"
    test = f"{alias}.j IS NOT NULL" if child.inner else "TRUE"
    return f" {kind} JOIN LATERAL (SELECT json_agg(s.*) AS j FROM ({rows}) AS s) AS {alias} ON {test}"


def _spread_many(child: Node, rows: str) -> str:
    """Each column of a to-many spread is an array of its values."""
    columns = [f"coalesce(json_agg(s.{ident(n)}), '[]'::json) AS {ident(n)}" for n in _spread_names(child)]
    return f"SELECT count(*) AS {ident(_COUNT)}, {', '.join(columns)} FROM ({rows}) AS s"


def _spread_test(child: Node, alias: str) -> str:
    return f"{alias}.{ident(_COUNT)} > 0" if child.inner else "TRUE"


def _order_sql(scope: Scope, node: Node) -> str:
    terms = ", ".join(_order_term(scope, node, term) for term in node.order)
    return f" ORDER BY {terms}" if terms else ""


def _order_term(scope: Scope, node: Node, term: Order) -> str:
    sql = expression(scope, node, term.field).sql if term.relation is None else _related(scope, node, term)
    if term.descending is not None:
        sql += " DESC" if term.descending else " ASC"
    return sql if term.nulls is None else f"{sql} NULLS {term.nulls.upper()}"


def _related(scope: Scope, node: Node, term: Order) -> str:
    """The column of the one embedded row."""
    name = term.relation or ""
    child = node.child(name)
    if child is None:
        raise not_embedded(name)
    if _many(child):
        raise related_order(node.relation.name, name)
    return f"(SELECT {expression(scope, child, term.field).sql}{matching_sql(scope, child)} LIMIT 1)"


def _range_sql(scope: Scope, node: Node) -> str:
    sql = "" if node.range.limit is None else f" LIMIT {scope.params.add(node.range.limit)}::int8"
    return sql if node.range.offset == 0 else f"{sql} OFFSET {scope.params.add(node.range.offset)}::int8"
