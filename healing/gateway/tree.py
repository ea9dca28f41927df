"""The tree of relations that a request reads: the root and what is embedded in it, each with its own filters, order and range."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

from healing.gateway.embedding import find_link
from healing.gateway.errors import not_embedded
from healing.gateway.filters import Condition
from healing.gateway.names import Names
from healing.gateway.order import Order
from healing.gateway.parameters import Path
from healing.gateway.ranges import ALL, Range
from healing.gateway.relationships import Link
from healing.gateway.request import Request
from healing.gateway.select import STAR, SelectField, SelectItem, SelectRelation
from healing.gateway.sqltext import ident, qualified
from schema_monitor.core.snapshot import Relation

WRITTEN = "mendgate_write"
"""The common table expression that holds the affected rows of a write."""
CALLED = "mendgate_call"
"""… and the one with the rows of a function."""


@dataclass(slots=True)
class Node:
    """One relation of the tree. ``alias`` names its rows in SQL; ``key`` names it in the answer."""

    relation: Relation
    alias: str
    source: str
    """SQL of what is read from: the table, or a common table expression."""
    key: str = ""
    parent: str = ""
    """the alias of the parent's rows."""
    link: Link | None = None
    inner: bool = False
    spread: bool = False
    derived: bool = False
    """the rows come from a common table expression, where computed fields are plain columns already."""
    open: bool = False
    """the columns are not known to the catalog (a function that returns some composite type)."""
    fields: list[SelectField] = field(default_factory=list)
    children: list[Node] = field(default_factory=list)
    conditions: list[Condition] = field(default_factory=list)
    order: tuple[Order, ...] = ()
    range: Range = ALL

    @property
    def empty(self) -> bool:
        """It shows nothing: ``rel()`` only filters."""
        return not self.fields and all(child.empty for child in self.children)

    def child(self, name: str) -> Node | None:
        """The embedding that the caller calls so: by its alias, else by its table's name."""
        by_key = next((child for child in self.children if child.key == name), None)
        return by_key or next((child for child in self.children if child.relation.name == name), None)


def read_tree(request: Request, names: Names, relation: Relation) -> Node:
    """The tree of a read of a table or view."""
    root = Node(relation, relation.name, qualified(relation.schema, relation.name))
    _grow(root, request, names)
    for placed in request.filters:
        _at(root, placed.path).conditions.append(placed.condition)
    _arrange(root, request, ranges=True)
    return root


def written_tree(request: Request, names: Names, relation: Relation) -> Node:
    """The tree of the rows that a write affected. The root's filters chose them already; its limit has no meaning here."""
    root = Node(relation, relation.name, ident(WRITTEN), derived=True)
    _grow(root, request, names)
    for placed in request.filters:
        if placed.path:
            _at(root, placed.path).conditions.append(placed.condition)
    _arrange(root, request, ranges=False)
    return root


def called_tree(request: Request, names: Names, relation: Relation, *, open_: bool) -> Node:
    """The tree over the rows that a function returned."""
    root = Node(relation, relation.name, ident(CALLED), derived=True, open=open_)
    _grow(root, request, names)
    for placed in request.filters:
        _at(root, placed.path).conditions.append(placed.condition)
    _arrange(root, request, ranges=True)
    return root


def _grow(root: Node, request: Request, names: Names) -> None:
    numbers = count(1)

    def grow(node: Node, items: tuple[SelectItem, ...]) -> None:
        for item in items:
            if isinstance(item, SelectField):
                node.fields.append(item)
                continue
            link = find_link(names, node.relation, item.name, item.hint, request.schema)
            child = _child(item, link, node.alias, next(numbers))
            node.children.append(child)
            grow(child, item.items)

    grow(root, request.select)
    if not root.fields and not root.children:
        root.fields.append(STAR)


def _child(item: SelectRelation, link: Link, parent: str, number: int) -> Node:
    source = qualified(link.target.schema, link.target.name)
    inner = item.join == "inner"
    return Node(link.target, f"#{number}", source, item.key, parent, link, inner, item.spread)


def _arrange(root: Node, request: Request, *, ranges: bool) -> None:
    for path, order in request.orders.items():
        _at(root, path).order = order
    for path, range_ in request.ranges.items():
        if path or ranges:
            _at(root, path).range = range_


def _at(root: Node, path: Path) -> Node:
    node = root
    for name in path:
        found = node.child(name)
        if found is None:
            raise not_embedded(name)
        node = found
    return node
