"""Which key of the payload a database error means, where the server does not say it: by the quoted value, by the type's name, by
what our own checks refuse. Where several could be meant, the misfit names none."""

from __future__ import annotations

from healing.core import arrays, labels
from healing.core.arrays import MOST_DIMENSIONS
from healing.core.refusals import rejects
from healing.core.typenames import plain
from healing.core.types import Json, Kind, Misfit, Statement
from healing.core.values import as_text
from schema_monitor.core.snapshot import Relation


def at(kind: Kind, name: str, statement: Statement, expected: str) -> Misfit:
    """The misfit of a key whose name is known, in every row that has it."""
    rows = tuple(i for i, row in enumerate(statement.rows) if name in row)
    return Misfit(kind, name, statement.rows[rows[0]][name] if rows else None, expected, rows)


def found_by_value(kind: Kind, text: str, type_name: str, statement: Statement, relation: Relation | None) -> Misfit:
    """The one key that holds the quoted value and has the named type."""
    holders = {key: None for row in statement.rows for key, value in row.items() if _holds(value, text)}
    typed = [key for key in holders if type_name and _has_type(key, type_name, relation)]
    keys = typed or list(holders)
    if len(keys) > 1 and relation is not None:
        refused = [key for key in keys if any(_is_refused(row[key], key, relation) for row in statement.rows if key in row)]
        keys = refused or keys
    if len(keys) != 1:
        return Misfit(kind, "", text, type_name)
    rows = tuple(i for i, row in enumerate(statement.rows) if keys[0] in row and _holds(row[keys[0]], text))
    value = statement.rows[rows[0]][keys[0]]
    element = text if kind is Kind.UNKNOWN_LABEL else value
    return Misfit(kind, keys[0], element, expected_type(keys[0], relation) or type_name, rows)


def _holds(value: Json, text: str, dimensions: int = MOST_DIMENSIONS) -> bool:
    """The value is that text for Postgres, or an array that has it as an element."""
    if value is None:
        return False
    if as_text(value) == text:
        return True
    elements = arrays.parse(value) if isinstance(value, str) and value.lstrip()[:1] == "{" else value
    return isinstance(elements, list) and dimensions > 0 and any(_holds(element, text, dimensions - 1) for element in elements)


def found_by_check(kind: Kind, statement: Statement, relation: Relation | None, type_name: str) -> Misfit:
    """Where the message quotes no value: the one key whose value our own check refuses for the same reason."""
    found: dict[str, list[int]] = {}
    for index, row in enumerate(statement.rows):
        for key, value in row.items():
            if relation is not None and _has_type(key, type_name, relation) and _is_refused(value, key, relation, kind):
                found.setdefault(key, []).append(index)
    if not found and type_name:
        return _only_one(kind, statement, relation, type_name)
    if len(found) != 1:
        return Misfit(kind, "", None, type_name)
    key, rows = next(iter(found.items()))
    return Misfit(kind, key, statement.rows[rows[0]][key], expected_type(key, relation), tuple(rows))


def _only_one(kind: Kind, statement: Statement, relation: Relation | None, type_name: str) -> Misfit:
    """The one key of that very type, where our own checks see nothing wrong."""
    keys = {key: None for row in statement.rows for key, value in row.items() if value is not None and _has_type(key, type_name, relation)}
    return at(kind, next(iter(keys)), statement, type_name) if len(keys) == 1 else Misfit(kind, "", None, type_name)


def _is_refused(value: Json, key: str, relation: Relation, kind: Kind | None = None) -> bool:
    column = relation.column(key)
    found = None if column is None or value is None else rejects(value, column, labels.checked(column, relation))
    return found is not None and kind in (None, found.kind)


def _has_type(key: str, type_name: str, relation: Relation | None) -> bool:
    """Whether the column's type (or its elements') has this name, ``[]`` being any array; modifiers count where the name has some."""
    column = relation.column(key) if relation is not None else None
    if column is None:
        return False
    if not type_name:
        return True
    if type_name == "[]":
        return column.array
    own = column.type.removesuffix("[]")
    if "(" in type_name and own.replace(" ", "") != type_name.replace(" ", ""):
        return False
    return plain(type_name) in {plain(own), plain(column.base)}


def expected_type(name: str, relation: Relation | None) -> str:
    """The SQL type of the column, '' where it is unknown."""
    column = relation.column(name) if relation is not None else None
    return column.type if column is not None else ""
