"""Reads a view's stored query (``pg_rewrite.ev_action``, a ``pg_node_tree``) for the one thing wanted: which of its columns are
plain columns of a relation. Postgres notes that itself on each target entry (``resorigtbl``, ``resorigcol``) and leaves zero where
the column is computed."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\\.|\{([A-Z_0-9]+)|\}|:(resno|resorigtbl|resorigcol) (-?\d+)|:resjunk (true)", re.DOTALL)
_TARGETS = 2
"""Depth of the outermost query's target entries; those of subqueries lie deeper."""


def plain_columns(node_tree: str) -> tuple[tuple[int, int, int], ...]:
    """(column number of the view, oid of the relation, column number there) of each plain column."""
    found: list[tuple[int, int, int]] = []
    entry: dict[str, int] = {}
    stack: list[str] = []
    for token in _TOKEN.finditer(node_tree):
        node, field, number, junk = token.groups()
        if node:
            stack.append(node)
            if len(stack) == _TARGETS:
                entry = {}
        elif field and len(stack) == _TARGETS:
            entry[field] = int(number)
        elif junk and len(stack) == _TARGETS:
            entry["junk"] = 1
        elif token.group() == "}":
            if len(stack) == _TARGETS and stack[-1] == "TARGETENTRY":
                found += _origin(entry)
            stack.pop()
    return tuple(found)


def _origin(entry: dict[str, int]) -> list[tuple[int, int, int]]:
    table, column = entry.get("resorigtbl", 0), entry.get("resorigcol", 0)
    return [(entry["resno"], table, column)] if table > 0 and column > 0 and "junk" not in entry else []
