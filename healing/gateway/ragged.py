"""A batch whose rows have different keys, as groups that can each be one statement."""

from __future__ import annotations

from msgspec.structs import replace

from healing.core.types import Healing, Operation, Statement
from healing.gateway.errors import DialectError
from healing.gateway.request import Request
from schema_monitor.core.snapshot import Relation

Group = tuple[Request, tuple[str, ...], list[int]]
"""The request as it counts for these rows, their columns, and which rows of the payload they are."""


def groups_of(request: Request, statement: Statement, relation: Relation, level: Healing) -> list[Group]:
    """For inserts a key left out means the default; upserts go by key set, so that nobody's missing key overwrites a stored value.
    Raises PGRST102 where healing is off: PostgREST wants the same keys in all rows."""
    everything, sets = list(range(len(statement.rows))), _key_sets(statement)
    if statement.columns is not None:
        return [(request, statement.columns, everything)]
    if len(sets) <= 1:
        return [(request, sets[0][0] if sets else (), everything)]
    if level is Healing.OFF:
        raise DialectError("PGRST102", 400, "All object keys must match")
    if statement.operation is Operation.INSERT and _defaults_are_plain(sets, relation):
        union = tuple(dict.fromkeys(key for keys, _ in sets for key in keys))
        return [(replace(request, preferences=replace(request.preferences, missing="default")), union, everything)]
    _refuse_csv(request)
    return [(request, keys, rows) for keys, rows in sets]


def _key_sets(statement: Statement) -> list[tuple[tuple[str, ...], list[int]]]:
    """Which rows have the same keys, in order of appearance."""
    sets: dict[frozenset[str], tuple[tuple[str, ...], list[int]]] = {}
    for index, row in enumerate(statement.rows):
        sets.setdefault(frozenset(row), (tuple(row), []))[1].append(index)
    return list(sets.values())


def _defaults_are_plain(sets: list[tuple[tuple[str, ...], list[int]]], relation: Relation) -> bool:
    """Whether the default of every key that some rows lack can be written out in a statement (an identity's or a domain's
    cannot: the caller may not use the sequence, the catalog does not tell; a view's are those of the tables behind it)."""
    if relation.kind not in ("r", "p"):
        return False
    common = frozenset[str].intersection(*(frozenset(keys) for keys, _ in sets))
    lacking = [relation.column(key) for keys, _ in sets for key in keys if key not in common]
    return all(column is not None and not column.identity and column.domain is None for column in lacking)


def _refuse_csv(request: Request) -> None:
    if request.accept.kind == "csv" and request.preferences.full:
        hint = "Send rows with the same keys, or ask for JSON."
        raise DialectError("PGRST127", 400, "Feature not implemented", "CSV of a batch whose rows have different keys", hint)
