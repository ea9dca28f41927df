"""Whether what came back from Postgres (as JSON) is what was meant: by value and type, not by spelling.

Where a type is exotic, two values are equal only if one is provably another spelling of the other; else they differ. How each type
is compared is in ``equality`` and ``equality_moments``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from healing.core import arrays, equality, equality_moments, formats
from healing.core.types import Change, Json, Row
from healing.core.values import as_text, same, shown
from schema_monitor.core.snapshot import Column, Relation

Equal = Callable[[Json, Json], bool]
"""of a meant and a stored value, both not null."""

_EQUAL: Final[dict[str, Equal]] = {**equality.EQUAL, **equality_moments.EQUAL}
_TEXTS: Final = frozenset({"text", "varchar", "citext", "name"})
_JSON: Final = frozenset({"json", "jsonb"})


def differs(meant: Json, stored: Json, column: Column) -> bool:
    """Whether the stored value is another than the meant one. ``stored`` is JSON as Postgres' own ``to_json`` writes it."""
    if meant is None or stored is None:
        return meant is not stored
    equal = _equal(column)
    try:
        return not (_same_elements(meant, stored, equal) if column.array else equal(meant, stored))
    except RecursionError:  # nobody proves that deep a nesting equal
        return True


def compare(meant: Row, stored: Row, relation: Relation, touched: frozenset[str] | None = None) -> tuple[Change, ...]:
    """What was stored differently from what was meant, by live column; a ``touched`` column that did not come back counts as different.

    Keys that are no live column are skipped: the planner refuses those. ``touched`` are the columns that a fix decided.
    """
    found: list[Change] = []
    for name, value in meant.items():
        column = relation.column(name)
        if column is None:
            continue
        if name not in stored:
            if touched and name in touched:
                found.append(Change(name, shown(value), "", "not read back"))
        elif differs(value, stored[name], column):
            found.append(Change(name, shown(value), shown(stored[name]), "stored differently"))
    return tuple(found)


def _equal(column: Column) -> Equal:
    if column.enum is not None or column.base in _TEXTS:
        return _text
    if column.base in _JSON:
        return same
    return _EQUAL.get(column.base, _exotic)


def _text(meant: Json, stored: Json) -> bool:
    """A scalar as the text it is; an object in a text column is another value."""
    return not isinstance(meant, (dict, list)) and as_text(meant) == stored


def _exotic(meant: Json, stored: Json) -> bool:
    """Of types we do not know: the same JSON, the same text, or an object whose every key came back as meant."""
    if isinstance(meant, dict) and isinstance(stored, dict):
        return all(k in stored and (v is stored[k] if v is None else _exotic(v, stored[k])) for k, v in meant.items())
    if isinstance(meant, list) and isinstance(stored, list):
        return len(meant) == len(stored) and all(map(_exotic, meant, stored))
    if isinstance(meant, (dict, list)) or stored is None:
        return False
    return same(meant, stored) or as_text(meant) == as_text(stored)


def _same_elements(meant: Json, stored: Json, equal: Equal) -> bool:
    """Arrays by shape and elements; what was meant may be an array literal."""
    elements = arrays.parse(meant) if isinstance(meant, str) else meant
    if isinstance(meant, str) and equal is same and isinstance(elements, list):
        elements = [_json_element(element) for element in elements]
    return isinstance(elements, list) and isinstance(stored, list) and _same_lists(elements, stored, partial(_same_element, equal))


def _same_lists(meant: list[Json], stored: list[Json], equal: Equal) -> bool:
    return len(meant) == len(stored) and all(
        _same_lists(m, s, equal) if isinstance(m, list) and isinstance(s, list) else equal(m, s) for m, s in zip(meant, stored, strict=True)
    )


def _same_element(equal: Equal, meant: Json, stored: Json) -> bool:
    return meant is stored if meant is None or stored is None else equal(meant, stored)


def _json_element(text: Json) -> Json:
    """An element of a json[] literal is JSON itself; what is none stays as it is."""
    found = text if text is None else formats.read("json_text", text)
    if isinstance(found, formats.Unfit):
        number = formats.number(text)
        return text if number is None else number
    return found
