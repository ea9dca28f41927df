"""The check lists in constraint definitions: ``CHECK ((status = ANY (ARRAY['a'::text, 'b'::text])))``, as Postgres deparses
``status IN ('a', 'b')``. Only text types, only the whole condition, and only the column itself: anything else is no list."""

from __future__ import annotations

import re

_TEXT = r"(?:text|character varying|bpchar|character)(?:\(\d+\))?"
_LITERAL = rf"\(?'(?:[^']|'')*'(?:::{_TEXT})?\)?(?:::{_TEXT})?"
_NAME = r"(?:\"(?:[^\"]|\"\")+\"|[^\W\d][\w$]*)"
_COLUMN = rf"\(*(?:{_NAME})\)*(?:::{_TEXT})?"
_MANY = rf"ANY \(\(*ARRAY\[(?P<many>{_LITERAL}(?:, {_LITERAL})*)\]\)*(?:::{_TEXT}\[\])?\)"
_LIST = re.compile(rf"CHECK \(\({_COLUMN} = (?:{_MANY}|(?P<one>{_LITERAL}))\)\)(?: NOT VALID)?")
_EACH = re.compile(r"'((?:[^']|'')*)'")


def allowed_values(definition: str) -> tuple[str, ...] | None:
    """The values that the check allows beside NULL, or None where it is no such list."""
    found = _LIST.fullmatch(definition)
    if found is None:
        return None
    literals = found["many"] or found["one"]
    return tuple(value.replace("''", "'") for value in _EACH.findall(literals))
