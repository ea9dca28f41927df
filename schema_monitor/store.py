"""Reads stored schema versions without Django, for the gateway."""

from __future__ import annotations

from typing import Any

import msgspec

from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Snapshot

_LATEST = "SELECT epoch, snapshot::text AS snapshot, lineage::text AS lineage FROM schema_monitor_schemaversion ORDER BY epoch DESC LIMIT 1"


async def load_latest(control_conn: Any) -> tuple[int, Snapshot, Lineage] | None:
    """The newest version (asyncpg connection to the control database): epoch, snapshot, lineage; None before the first capture."""
    record = await control_conn.fetchrow(_LATEST)
    if record is None:
        return None
    snapshot = msgspec.json.decode(record["snapshot"], type=Snapshot)
    return record["epoch"], snapshot, msgspec.json.decode(record["lineage"], type=Lineage)
