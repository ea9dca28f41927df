"""Whether the schema has caught up with a misfit: then what waits for it can be tried again."""

from __future__ import annotations

from healing.core import labels
from healing.core.ddl.cause import Part, parts_of
from healing.core.ddl.column_type import takes
from healing.core.types import Kind, Row
from schema_monitor.core.snapshot import Column, Relation, Snapshot


def settled(signature: str, relation: Relation | None, snapshot: Snapshot, rows: tuple[Row, ...] = ()) -> bool:
    """Whether every misfit that the signature names is gone under this schema, as far as the catalog can tell. ``rows`` are what waits."""
    parts = parts_of(signature)
    return bool(parts) and relation is not None and all(_gone(part, relation, snapshot, rows) for part in parts)


def _gone(part: Part, relation: Relation, snapshot: Snapshot, rows: tuple[Row, ...]) -> bool:
    column = relation.column(part.column)
    match part.kind:
        case Kind.UNKNOWN_TABLE:
            return True
        case Kind.UNKNOWN_COLUMN:
            return column is not None and not column.generated
        case Kind.UNKNOWN_LABEL:
            return column is not None and _allows(column, part.value, relation, snapshot)
        case Kind.MISSING_VALUE:
            return column is not None and (column.nullable or column.default is not None or bool(column.identity))
        case Kind.OUT_OF_RANGE | Kind.TOO_LONG | Kind.INVALID_VALUE:
            return column is not None and bool(rows) and takes(column, [row.get(part.column) for row in rows])
    return False


def _allows(column: Column, value: str, relation: Relation, snapshot: Snapshot) -> bool:
    allowed = labels.of(column, relation, snapshot.enums)
    return allowed is None or value in allowed
