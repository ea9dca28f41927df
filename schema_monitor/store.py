"""The stored versions as values, for whoever has a connection to the control database. Free of Django: the gateway reads them too."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Snapshot

LATEST = "SELECT epoch, snapshot::text, lineage::text, horizon FROM schema_monitor_schemaversion ORDER BY epoch DESC LIMIT 1"
Version = tuple[int, Snapshot, Lineage]


async def load_latest(control_conn: Any) -> Version | None:
    """Epoch, snapshot and lineage of the newest version (asyncpg connection), or None before the first capture."""
    return version(await control_conn.fetchrow(LATEST))


def version(row: Sequence[Any] | None) -> Version | None:
    """The values of a row of ``LATEST``."""
    return None if row is None else (row[0], replace(_as_snapshot(row[1]), horizon=row[3]), _as_lineage(row[2]))


_as_snapshot = msgspec.json.Decoder(Snapshot).decode
_as_lineage = msgspec.json.Decoder(Lineage).decode
