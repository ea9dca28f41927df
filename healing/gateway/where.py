"""Conditions as SQL: operators, logic, joins to the parent, and filters on embeddings by EXISTS."""

from __future__ import annotations

from healing.gateway.errors import embedded_operator, not_implemented
from healing.gateway.expressions import Expression, Scope, expression
from healing.gateway.filters import Condition, Filter, Logic
from healing.gateway.sqltext import ident, qualified
from healing.gateway.tree import Node

_COMPARE = {
    "eq": "=",
    "neq": "<>",
    "gt": ">",
    "gte": ">=",
    "lt": "<",
    "lte": "<=",
    "cs": "@>",
    "cd": "<@",
    "ov": "&&",
    "sl": "<<",
    "sr": ">>",
    "nxr": "&<",
    "nxl": "&>",
    "adj": "-|-",
    "isdistinct": "IS DISTINCT FROM",
}
_PATTERN = {"like": "LIKE", "ilike": "ILIKE", "match": "~", "imatch": "~*"}
_IS = {
    "null": "NULL",
    "not_null": "NOT NULL",
    "true": "TRUE",
    "false": "FALSE",
    "unknown": "UNKNOWN",
}
_SEARCH = {
    "fts": "to_tsquery",
    "plfts": "plainto_tsquery",
    "phfts": "phraseto_tsquery",
    "wfts": "websearch_to_tsquery",
}


def matching_sql(scope: Scope, node: Node) -> str:
    """`` FROM … WHERE …`` for the rows of ``node`` that belong to a row of its parent and pass its filters. Inner embeddings
    below it count as filters."""
    tests = [*tests_of(scope, node), *(exists_sql(scope, child) for child in node.children if child.inner)]
    return from_sql(node) + where_sql(tests)


def from_sql(node: Node) -> str:
    """`` FROM`` its source, and the junction where there is one."""
    sql = f" FROM {node.source} AS {ident(node.alias)}"
    if node.link is not None and node.link.junction is not None:
        table = node.link.junction.table
        sql += f", {qualified(table.schema, table.name)} AS {ident(_junction_alias(node))}"
    return sql


def where_sql(tests: list[str]) -> str:
    """`` WHERE`` all of them; nothing for none."""
    return f" WHERE {' AND '.join(tests)}" if tests else ""


def tests_of(scope: Scope, node: Node) -> list[str]:
    """The join to the parent and the node's own conditions."""
    return [*_joins(node), *(condition_sql(scope, node, condition) for condition in node.conditions)]


def exists_sql(scope: Scope, node: Node) -> str:
    """Whether the parent's row has a row of ``node``."""
    return f"EXISTS (SELECT 1{matching_sql(scope, node)})"


def condition_sql(scope: Scope, node: Node, condition: Condition) -> str:
    """One condition on a row of ``node``."""
    if isinstance(condition, Logic):
        joined = f" {condition.operator.upper()} ".join(condition_sql(scope, node, child) for child in condition.children)
        return f"{'NOT ' if condition.negated else ''}({joined})"
    embedded = None if condition.field.path else _embedding(node, condition.field.name)
    if embedded is not None:
        return _embedding_sql(scope, embedded, condition)
    sql = _filter_sql(scope, node, condition)
    return f"NOT ({sql})" if condition.negated else sql


def _junction_alias(node: Node) -> str:
    return f"{node.alias}k"


def _joins(node: Node) -> list[str]:
    """How rows of ``node`` belong to a row of the parent."""
    link = node.link
    if link is None:
        return []
    here, there = ident(node.parent), ident(node.alias)
    if link.junction is None:
        return [f"{there}.{ident(its)} = {here}.{ident(own)}" for own, its in link.pairs]
    middle = ident(_junction_alias(node))
    own = [f"{middle}.{ident(key)} = {here}.{ident(column)}" for column, key in link.junction.pairs]
    its = [f"{middle}.{ident(key)} = {there}.{ident(column)}" for column, key in link.junction.target_pairs]
    return own + its


def _embedding(node: Node, name: str) -> Node | None:
    found = node.child(name)
    return found if found is not None and node.relation.column(name) is None else None


def _embedding_sql(scope: Scope, embedded: Node, condition: Filter) -> str:
    if condition.operator != "is" or condition.value not in ("null", "not_null"):
        raise embedded_operator(condition.field.name)
    absent = (condition.value == "null") != condition.negated
    return f"{'NOT ' if absent else ''}{exists_sql(scope, embedded)}"


def _filter_sql(scope: Scope, node: Node, condition: Filter) -> str:
    left = expression(scope, node, condition.field)
    if node.open and not condition.field.path and left.column is None and condition.operator != "is":
        raise not_implemented(f"a filter on '{condition.field.name}', whose type the catalog does not know")
    operator, value = condition.operator, condition.value
    if isinstance(value, tuple):
        return _in_sql(scope, left, value)
    if operator == "is":
        return f"{left.sql} IS {_IS[value]}"
    if operator in _SEARCH:
        return _search_sql(scope, left, condition, value)
    if operator in ("like", "ilike"):
        value = value.replace("*", "%")
    symbol, type_ = (_PATTERN[operator], "") if operator in _PATTERN else (_COMPARE[operator], left.type)
    if condition.quantifier is not None:
        array = scope.params.text(value, f"{type_ or 'text'}[]")
        return f"{left.sql} {symbol} {condition.quantifier.upper()} ({array})"
    if operator in ("eq", "neq", "isdistinct") and left.column is not None:
        value = scope.names.label(left.column, value)
    return f"{left.sql} {symbol} {scope.params.text(value, type_)}"


def _in_sql(scope: Scope, left: Expression, values: tuple[str, ...]) -> str:
    """``= ANY`` of one array parameter; a list where the column is an array itself. One empty element means no element."""
    if values == ("",):
        return "FALSE"
    if left.column is not None:
        values = tuple(scope.names.label(left.column, value) for value in values)
    if left.array:
        return f"{left.sql} IN ({', '.join(scope.params.text(value, left.type) for value in values)})"
    array = scope.params.text(array_literal(values), f"{left.type or 'text'}[]")
    return f"{left.sql} = ANY ({array})"


def array_literal(values: tuple[str, ...]) -> str:
    """A Postgres array of texts."""
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join(f'"{value}"' for value in escaped) + "}"


def _search_sql(scope: Scope, left: Expression, condition: Filter, value: str) -> str:
    language = "" if condition.language is None else scope.params.text(condition.language, "regconfig") + ", "
    vector = left.sql if left.search else f"to_tsvector({language}{left.sql})"
    return f"{vector} @@ {_SEARCH[condition.operator]}({language}{scope.params.text(value)})"
