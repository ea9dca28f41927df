"""The stored versions as values, for whoever has a connection to the control database. Free of Django: the gateway reads them too.

A version is stored whole now and then, and otherwise as what it adds to the one before (``core.delta``). Whoever has a version
needs only the deltas since.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from msgspec.structs import replace

from schema_monitor.core.delta import Delta, apply
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Snapshot

UNTIL = """
WITH base AS (
    SELECT epoch FROM schema_monitor_schemaversion WHERE snapshot IS NOT NULL AND epoch <= {until} ORDER BY epoch DESC LIMIT 1
)
SELECT v.epoch, v.horizon, v.delta::text,
       CASE WHEN v.epoch = base.epoch THEN v.snapshot::text END, CASE WHEN v.epoch = base.epoch THEN v.lineage::text END
FROM base JOIN schema_monitor_schemaversion v ON v.epoch BETWEEN base.epoch AND {until}
ORDER BY v.epoch"""
"""Everything that makes up one version; ``{until}`` is the driver's parameter."""
SINCE = "SELECT epoch, horizon, delta::text, fingerprint FROM schema_monitor_schemaversion WHERE epoch >= {since} ORDER BY epoch"
"""What a version, once more, and all later ones add."""
NEWEST = 2**62
Version = tuple[int, Snapshot, Lineage]


async def load_latest(control_conn: Any) -> Version | None:
    """Epoch, snapshot and lineage of the newest version (asyncpg connection), or None before the first capture."""
    return version(await control_conn.fetch(UNTIL.format(until="$1"), NEWEST))


async def load_since(control_conn: Any, known: Version | None) -> Version | None:
    """The newest version for a process that has ``known``: reads only what came since, and all of it where that is not enough."""
    if known is not None:
        newer = advanced(known, await control_conn.fetch(SINCE.format(since="$1"), known[0]))
        if newer is not None:
            return newer
    return await load_latest(control_conn)


def version(rows: Sequence[Sequence[Any]]) -> Version | None:
    """The values of the rows of ``UNTIL``."""
    if not rows:
        return None
    *_, snapshot, lineage = rows[0]
    past = (_as_snapshot(snapshot), _as_lineage(lineage))
    for _, _, delta, *_ in rows:
        if delta is not None:
            past = apply(past, _as_delta(delta))
    epoch, horizon, *_ = rows[-1]
    return epoch, replace(past[0], horizon=horizon), past[1]


def advanced(known: Version, rows: Sequence[Sequence[Any]]) -> Version | None:
    """The newest version from one that is known and the rows of ``SINCE``; None where they do not lead on from it."""
    epoch, snapshot, lineage = known
    if not rows or rows[0][0] != epoch or rows[0][3] != snapshot.fingerprint:
        return None
    now = (snapshot, lineage)
    for each, _, delta, _ in rows:
        if delta is not None:
            now = apply(now, _as_delta(delta))
        elif each != epoch:
            return None
    newest, horizon, *_ = rows[-1]
    return newest, replace(now[0], horizon=horizon), now[1]


_as_snapshot = msgspec.json.Decoder(Snapshot).decode
_as_lineage = msgspec.json.Decoder(Lineage).decode
_as_delta = msgspec.json.Decoder(Delta).decode
