"""A table for rows that were sent to one that is not there."""

from __future__ import annotations

from healing.core.ddl.add_column import definition, told
from healing.core.ddl.cause import Cause
from healing.core.ddl.column_type import Chosen, column_type
from healing.core.ddl.naming import may_name, slug
from healing.core.ddl.remedy import Remedy
from healing.core.types import Kind
from schema_monitor.core.piece import quoted
from schema_monitor.core.snapshot import Snapshot

_MOST = 60


def create_table(cause: Cause, snapshot: Snapshot) -> list[Remedy]:
    """Its columns are what was sent; its key is what was sent as ``id``, else one of its own. Row security is on: it is open to nobody
    until somebody says to whom."""
    keys = list(dict.fromkeys(key for row in cause.rows for key in row))
    parts = cause.of(Kind.UNKNOWN_TABLE)
    if not parts or not keys or len(keys) > _MOST or not may_name(cause.table) or not all(map(may_name, keys)):
        return []
    chosen = {key: column_type(key, cause.values(key), None, snapshot, cause.schema) for key in keys}
    table = f"{quoted(cause.schema)}.{quoted(cause.table)}"
    lines = [_key(cause, chosen), *(definition(key, one) for key, one in chosen.items() if key != "id")]
    return [
        Remedy(
            "create_table",
            tuple(part.signature for part in parts),
            (
                f"CREATE TABLE {table} (\n    " + ",\n    ".join(lines) + "\n)",
                f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY",
            ),
            f"create the table `{cause.table}` with {', '.join(f'`{key}` {one.type}' for key, one in chosen.items())}",
            slug("create", cause.table),
            tuple(f"{key}: {why}" for key, one in chosen.items() for why in one.why),
            (
                "row security is on and there is no policy yet: only a role that bypasses it may write until you add one",
                *(f"{key}: {doubt}" for key, one in chosen.items() for doubt in one.against),
            ),
            tuple(told(key, one) for key, one in chosen.items()),
        )
    ]


def _key(cause: Cause, chosen: dict[str, Chosen]) -> str:
    sent = cause.values("id")
    if "id" not in chosen:
        return '"id" uuid PRIMARY KEY DEFAULT gen_random_uuid()'
    alone = len(sent) == len(cause.rows) and None not in sent and len(set(map(str, sent))) == len(sent)
    preset = " DEFAULT gen_random_uuid()" if chosen["id"].type == "uuid" else ""
    return f'"id" {chosen["id"].type}{" PRIMARY KEY" if alone else ""}{preset}'
