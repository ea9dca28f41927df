"""``{"$ref": "o.0.id"}``: a value that an earlier operation gave back. ``{"$literal": x}`` is x itself, whatever it looks like."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from healing.core.types import Json, Row
from healing.gateway.transactions.asked import Operation, Transaction, place, refusal

REF, LITERAL = "$ref", "$literal"
_SHAPE = re.compile(r"(?P<name>[^.]+)\.(?P<row>[0-9]{1,6})\.(?P<column>.+)", re.DOTALL)
Given = Mapping[str, Sequence[Row] | None]
"""Rows by the name of the operation that gave them; None where it did not land (its savepoint was undone)."""


class NotGiven(Exception):
    """A reference to a row or column that is not there."""


def needed(asked: Transaction) -> dict[str, tuple[str, ...]]:
    """The columns that are referred to, by the name of the operation that must give them back. Raises ``DialectError``."""
    found: dict[str, dict[str, None]] = {}
    known: set[str] = set()
    for number, operation in enumerate(asked.operations):
        for name, _, column in references(operation):
            if name not in known:
                hint = f'Refer to an earlier operation by its "as". A value that only looks like a reference: {{"{LITERAL}": …}}.'
                raise refusal(f"{place(number, operation)} refers to '{name}', which is no earlier operation", hint)
            found.setdefault(name, {})[column] = None
        if operation.name is not None:
            known.add(operation.name)
    return {name: tuple(columns) for name, columns in found.items()}


def references(operation: Operation) -> Iterator[tuple[str, int, str]]:
    """Name, row and column of each. Raises ``DialectError`` for one that cannot be read."""
    for row in _rows(operation):
        for value in row.values():
            if _is(value, REF):
                yield _read(value[REF])


def resolve(row: Row, given: Given) -> Row:
    """The row with what its references mean. Raises ``NotGiven``."""
    return {key: _value(value, given) for key, value in row.items()}


def _rows(operation: Operation) -> Iterable[Row]:
    rows = operation.rows if isinstance(operation.rows, list) else [operation.rows or {}]
    return [*rows, operation.values or {}, operation.match or {}]


def _value(value: Json, given: Given) -> Json:
    if _is(value, LITERAL):
        return value[LITERAL]
    if not _is(value, REF):
        return value
    name, number, column = _read(value[REF])
    rows = given.get(name)
    if rows is None:
        raise NotGiven(f"'{name}' did not land")
    if number >= len(rows):
        raise NotGiven(f"'{name}' gave {len(rows)} rows, so there is no row {number}")
    if column not in rows[number]:
        raise NotGiven(f"'{name}' has no column '{column}'")
    return rows[number][column]


def _is(value: Json, key: str) -> bool:
    return isinstance(value, dict) and len(value) == 1 and key in value


def _read(text: Json) -> tuple[str, int, str]:
    shape = _SHAPE.fullmatch(text) if isinstance(text, str) else None
    if shape is None:
        hint = f'Write {{"{REF}": "<as>.<row>.<column>"}}, e.g. "o.0.id". A value that only looks like a reference: {{"{LITERAL}": …}}.'
        raise refusal(f"{text!r} is no reference", hint)
    return shape["name"], int(shape["row"]), shape["column"]
