"""Fields as SQL expressions, with the type that a value is compared as."""

from __future__ import annotations

from msgspec import Struct

from healing.gateway.errors import undefined_column
from healing.gateway.field import Field, Step
from healing.gateway.names import Names
from healing.gateway.sqltext import Params, compare_type, ident, qualified
from healing.gateway.tree import Node
from schema_monitor.core.snapshot import Column, Function, Relation, Snapshot


class Scope(Struct, frozen=True):
    """What SQL is written with."""

    names: Names
    params: Params
    careful: bool = False
    """note names that meant another column once: set for the filters of writes."""

    @property
    def snapshot(self) -> Snapshot:
        """The catalog."""
        return self.names.snapshot


class Expression(Struct, frozen=True):
    """``type`` is what a value is cast to for a comparison, '' for text; ``column`` is the plain column that it is."""

    sql: str
    type: str
    column: Column | None = None
    array: bool = False
    search: bool = False
    """it is a tsvector."""


def expression(scope: Scope, node: Node, field: Field) -> Expression:
    """The field of one row of ``node``, or 42703."""
    column = scope.names.find_column(node.relation, field.name, careful=scope.careful)
    if column is not None:
        base = Expression(
            f"{ident(node.alias)}.{ident(column.name)}",
            compare_type(column, scope.snapshot),
            column,
            column.array,
            column.base == "tsvector" and not column.array,
        )
    else:
        base = _computed(scope, node, field.name)
    return _along(scope, base, field.path) if field.path else base


def _computed(scope: Scope, node: Node, name: str) -> Expression:
    function = computed_field(scope.snapshot, node.relation, name)
    if function is None and not node.open:
        raise undefined_column(node.relation.name, name, scope.names.hint(node.relation, name))
    if node.derived or function is None:
        sql = f"{ident(node.alias)}.{ident(name)}"
    else:
        sql = f"{qualified(function.schema, function.name)}({ident(node.alias)}.*)"
    if function is None:
        return Expression(sql, "")
    array = function.returns.endswith("[]")
    column = Column(0, name, function.returns, function.returns.removesuffix("[]"), array=array)
    return Expression(sql, compare_type(column, scope.snapshot), None, array, function.returns == "tsvector")


def computed_field(snapshot: Snapshot, relation: Relation, name: str) -> Function | None:
    """The function of that name that takes one row of the relation and returns one value."""
    for function in snapshot.functions.values():
        if function.name != name or function.returns_set or function.schema != relation.schema:
            continue
        if len(function.arguments) == 1 and _is_row(function.arguments[0].type, relation):
            return function
    return None


def _is_row(type_: str, relation: Relation) -> bool:
    spelled = type_.replace('"', "")
    return spelled in (relation.name, f"{relation.schema}.{relation.name}")


def _along(scope: Scope, base: Expression, path: tuple[Step, ...]) -> Expression:
    """The value inside JSON; what is no JSON yet is made so first."""
    column = base.column
    plain = column is not None and column.base in ("json", "jsonb") and not column.array
    sql = base.sql if plain else f"to_jsonb({base.sql})"
    for step in path:
        sql += ("->>" if step.text else "->") + _operand(scope, step)
    json = "pg_catalog.json" if plain and column is not None and column.base == "json" else "pg_catalog.jsonb"
    return Expression(sql, "" if path[-1].text else json)


def _operand(scope: Scope, step: Step) -> str:
    return str(step.key) if isinstance(step.key, int) else scope.params.text(step.key)
