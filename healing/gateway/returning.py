"""What a write returns: only the columns that the answer needs, so that no right to read is asked for without reason."""

from __future__ import annotations

from healing.gateway.expressions import Scope, computed_field
from healing.gateway.select import STAR
from healing.gateway.sqltext import ident, qualified
from healing.gateway.tree import Node
from schema_monitor.core.snapshot import Relation


def returning_sql(scope: Scope, relation: Relation, tree: Node | None, also: tuple[str, ...]) -> str:
    """The list after RETURNING: columns for ``tree`` (the representation, if one is wanted) and ``also`` (live names)."""
    alias = ident(relation.name)
    columns = dict.fromkeys(also)
    items: list[str] = []
    if tree is not None:
        if STAR in tree.fields:
            columns = {}
            items.append(f"{alias}.*")
        else:
            columns.update(dict.fromkeys((*_shown(scope, tree), *_linked(tree), *_ordered(scope, tree))))
        items += computed_items(scope, tree, tree.alias)
    items += [f"{alias}.{ident(name)}" for name in columns]
    return ", ".join(items) or "1"


def _shown(scope: Scope, tree: Node) -> list[str]:
    names = (field.field.name for field in tree.fields)
    return [column.name for name in names if (column := scope.names.find_column(tree.relation, name)) is not None]


def _ordered(scope: Scope, tree: Node) -> list[str]:
    terms = (term.field.name for term in tree.order if term.relation is None)
    return [column.name for name in terms if (column := scope.names.find_column(tree.relation, name)) is not None]


def _linked(tree: Node) -> list[str]:
    """The columns that embedded rows are joined by."""
    columns: list[str] = []
    for child in tree.children:
        if child.link is not None:
            pairs = child.link.junction.pairs if child.link.junction else child.link.pairs
            columns += [own for own, _ in pairs]
    return columns


def computed_items(scope: Scope, tree: Node, alias: str) -> list[str]:
    """Computed fields of the rows ``alias``: worked out here, where a row still has its table's type."""
    names = dict.fromkeys([field.field.name for field in tree.fields] + [term.field.name for term in tree.order if term.relation is None])
    items = []
    for name in names:
        if name == "*" or scope.names.find_column(tree.relation, name) is not None:
            continue
        function = computed_field(scope.snapshot, tree.relation, name)
        if function is not None:
            items.append(f"{qualified(function.schema, function.name)}({ident(alias)}.*) AS {ident(name)}")
    return items
