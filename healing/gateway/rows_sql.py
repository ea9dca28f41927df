"""The rows of a payload as SQL: $1 is their JSON array as text, ``ROWS`` the rows with the columns' types."""

from __future__ import annotations

from healing.gateway.sqltext import Params, ident
from schema_monitor.core.snapshot import Column, Relation

ROWS = "mendgate rows"
"""No table is called so: an UPDATE has its own name beside it."""
_EACH = ident("mendgate each")


def rows_from(columns: tuple[Column, ...], *, defaults: bool) -> str:
    """`` FROM …`` that yields ``ROWS``; with ``defaults`` also each row's JSON."""
    if not columns:
        return f" FROM json_array_elements($1::json) AS {_EACH}(v)"
    typed = ", ".join(f"{ident(column.name)} {column.type}" for column in columns)
    if defaults:
        return f" FROM json_array_elements($1::json) AS {_EACH}(v), LATERAL json_to_record({_EACH}.v) AS {ident(ROWS)}({typed})"
    return f" FROM json_to_recordset($1::json) AS {ident(ROWS)}({typed})"


def row_value(relation: Relation, column: Column, params: Params, *, defaults: bool) -> str:
    """The value that a row has for the column: with ``defaults``, a key that is left out means the column's default."""
    value = f"{ident(ROWS)}.{ident(column.name)}"
    if not defaults:
        return value
    default = default_sql(relation, column)
    if default is None:
        return value
    return f"CASE WHEN {_EACH}.v -> {params.text(column.name)} IS NULL THEN {default} ELSE {value} END"


def default_sql(relation: Relation, column: Column) -> str | None:
    """The default as an expression; None where leaving the key out means NULL anyway. An identity's sequence is asked by
    name, which needs a right on it that a real DEFAULT would not."""
    if column.generated:
        return None
    if column.identity == "d":
        table = f"{ident(relation.schema)}.{ident(relation.name)}".replace("'", "''")
        name = column.name.replace("'", "''")
        return f"nextval(pg_get_serial_sequence(E'{_escaped(table)}', E'{_escaped(name)}'))::{column.type}"
    return None if column.default is None else f"({column.default})"


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\")
