"""The closed list of texts that a column takes: the labels of its enum, or the list of a check ``column in (…)``."""

from __future__ import annotations

from collections.abc import Mapping

from healing.core.types import Json
from schema_monitor.core.snapshot import Column, EnumType, Relation

TEXTS = frozenset({"text", "varchar", "bpchar", "citext"})
"""bases whose values are texts, where a check list is one of labels."""


def of(column: Column, relation: Relation, enums: Mapping[int, EnumType]) -> tuple[str, ...] | None:
    """The labels of the column, or None where any text goes (or the enum is unknown)."""
    if column.enum is not None:
        enum = enums.get(column.enum)
        return tuple(label.name for label in enum.labels) if enum is not None else None
    return checked(column, relation)


def checked(column: Column, relation: Relation) -> tuple[str, ...] | None:
    """The labels that check constraints leave to a text column; several checks leave what all of them allow."""
    if column.base not in TEXTS or column.array:
        return None
    lists = [c.allowed for c in relation.constraints if c.kind == "c" and c.allowed is not None and c.columns == (column.attnum,)]
    if not lists:
        return None
    return tuple(label for label in lists[0] if all(label in other for other in lists[1:]))


def by_name(relation: Relation, enums: Mapping[int, EnumType]) -> dict[str, tuple[str, ...]]:
    """The labels of every column that has some."""
    return {c.name: found for c in relation.columns if (found := of(c, relation, enums)) is not None}


def unique_match(text: Json, labels: tuple[str, ...]) -> str | None:
    """The one label that differs from the text by case only; None where none or several do, or the text is a label itself."""
    if not isinstance(text, str) or text in labels:
        return None
    found = [label for label in labels if label.casefold() == text.casefold()]
    return found[0] if len(found) == 1 else None
