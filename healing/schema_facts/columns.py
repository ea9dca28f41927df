"""What happened to each column of a table, under whatever name it and the table had then. Pure: walks changes backwards."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from itertools import groupby
from typing import Any

from msgspec import Struct

from schema_monitor.core.snapshot import Relation

_ADDED = ("column_added", "required_column_added")
_BORN = ("table_added", "table_replaced")
_LAST = {"column_renamed": 1, "column_added": 2, "required_column_added": 2, "table_renamed": 3, "table_added": 4, "table_replaced": 4}
"""Within one version a change is told under the names after it: renamings are undone last."""


class Past(Struct, frozen=True):
    """One stored change, as far as a history needs it."""

    id: int
    epoch: int
    at: datetime
    kind: str
    severity: str
    schema: str
    relation: str
    object: str
    old: Any
    sentence: str


class Histories(Struct, frozen=True):
    """Newest first. ``columns`` by attnum; ``table`` are the changes of the table itself; ``names`` all that the table had."""

    columns: dict[int, tuple[Past, ...]]
    table: tuple[Past, ...]
    names: tuple[tuple[str, str], ...]

    def former(self, attnum: int) -> tuple[str, ...]:
        """Names that the column had, the latest first."""
        return tuple(dict.fromkeys(str(p.old) for p in self.columns.get(attnum, ()) if p.kind == "column_renamed"))


def histories(relation: Relation, changes: Iterable[Past]) -> Histories:
    """What is known of that relation and its columns; ``changes`` may be of any relations, in any order."""
    walk = _Walk(relation)
    ordered = sorted(changes, key=lambda p: (-p.epoch, _LAST.get(p.kind, 0), p.id))
    for _, same in groupby(ordered, key=lambda p: p.epoch):
        if walk.ended:
            break
        walk.back(list(same))
    return Histories({n: tuple(steps) for n, steps in walk.steps.items()}, tuple(walk.table), tuple(walk.places))


class _Walk:
    """Goes back one version at a time, and knows what everything was called before it."""

    def __init__(self, relation: Relation) -> None:
        self.places = [(relation.schema, relation.name)]
        self.names = {column.attnum: column.name for column in relation.columns}
        self.steps: dict[int, list[Past]] = {}
        self.table: list[Past] = []
        self.ended = False

    def back(self, changes: Sequence[Past]) -> None:
        owners, before = {name: attnum for attnum, name in self.names.items()}, dict(self.names)
        here = self.places[-1]
        for each in changes:
            if (each.schema, each.relation) != here:
                continue
            attnum = owners.get(each.object) if each.object else None
            if attnum is None or each.kind == "column_removed":
                self._of_table(each)
                continue
            self.steps.setdefault(attnum, []).append(each)
            if each.kind == "column_renamed":
                before[attnum] = str(each.old)
            elif each.kind in _ADDED:
                before.pop(attnum, None)
        self.names = before

    def _of_table(self, each: Past) -> None:
        self.table.append(each)
        if each.kind in _BORN:
            self.ended = True
        elif each.kind == "table_renamed" and isinstance(each.old, str):
            schema, _, name = each.old.partition(".")
            self.places.append((schema, name))
