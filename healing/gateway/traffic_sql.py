"""Adds counted requests to the tables of ``schema_monitor/traffic_models.py``, a statement a table. Rows are taken in one order by
every process, so that two that add at once wait for each other and never lock up."""

from __future__ import annotations

from typing import Any

import msgspec

from healing.gateway.traffic_rows import Rows

_SHAPES = """
INSERT INTO schema_monitor_payloadshape AS p
    (hour, schema, relation_oid, name, operation, key, caller, role, keys, named, shape, requests, rows, misfits, healed, last_at)
SELECT date_trunc('hour', now(), 'UTC'), schema, relation_oid, name, operation, key, caller, role, keys, named, shape,
    requests, rows, misfits, healed, now()
FROM json_to_recordset($1::text::json) AS r(schema text, relation_oid int8, name text, operation text, key uuid, caller text, role text,
    keys jsonb, named jsonb, shape text, requests int8, rows int8, misfits int8, healed int8)
ORDER BY relation_oid, name, operation, key, role, shape
ON CONFLICT (hour, relation_oid, name, operation, key, role, shape) DO UPDATE SET
    requests = p.requests + excluded.requests, rows = p.rows + excluded.rows, misfits = p.misfits + excluded.misfits,
    healed = p.healed + excluded.healed, caller = excluded.caller, last_at = excluded.last_at"""
_USES = """
INSERT INTO schema_monitor_oldnameuse AS u
    (day, schema, relation_oid, attnum, enum_oid, label_oid, name, key, caller, role, uses, last_at)
SELECT (now() AT TIME ZONE 'UTC')::date, schema, relation_oid, attnum, enum_oid, label_oid, name, key, caller, role, uses, now()
FROM json_to_recordset($1::text::json) AS r(schema text, relation_oid int8, attnum int4, enum_oid int8, label_oid int8, name text,
    key uuid, caller text, role text, uses int8)
ORDER BY schema, relation_oid, attnum, enum_oid, label_oid, name, key, role
ON CONFLICT (day, schema, relation_oid, attnum, enum_oid, label_oid, name, key, role) DO UPDATE SET
    uses = u.uses + excluded.uses, caller = excluded.caller, last_at = excluded.last_at"""
_RECORDING = """
INSERT INTO schema_monitor_trafficrecording AS t (id, since, last_at, lost, lost_at)
VALUES (1, now(), now(), $1::int8, CASE WHEN $1::int8 > 0 THEN now() END)
ON CONFLICT (id) DO UPDATE SET
    last_at = excluded.last_at, lost = t.lost + excluded.lost, lost_at = coalesce(excluded.lost_at, t.lost_at)"""


async def add(connection: Any, rows: Rows) -> None:
    """Adds them up (asyncpg connection, in a transaction)."""
    if rows.shapes:
        await connection.execute(_SHAPES, _text(rows.shapes))
    if rows.uses:
        await connection.execute(_USES, _text(rows.uses))
    await connection.execute(_RECORDING, rows.lost)


def _text(rows: dict[Any, Any]) -> str:
    return msgspec.json.encode(list(rows.values())).decode()
