"""One difference between two snapshots."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from schema_monitor.core.severity import WEIGHTS


class Change(Struct, frozen=True):
    """Fields are those of ``models.SchemaChange``. ``old`` and ``new`` are short JSON values (names, types, definitions);
    ``object`` names the column, constraint, label … and is '' where the relation itself is meant."""

    kind: str
    severity: str
    schema: str
    relation: str
    object: str
    old: Any
    new: Any
    sentence: str
    breaks_old_writers: bool
    breaks_old_readers: bool
    inferred: bool = False


def change(kind: str, where: tuple[str, str], sentence: str, *, object: str = "", old: Any = None, new: Any = None) -> Change:
    """A change with the weight of its kind; ``where`` is (schema, relation, enum or function)."""
    weight = WEIGHTS[kind]
    return Change(kind, weight.severity, where[0], where[1], object, old, new, sentence, weight.writers, weight.readers)
