"""Stored versions for the control plane: one by its epoch, the newest, and a memory of the newest for whoever captures often."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec
from django.db import connection, transaction

from schema_monitor import store
from schema_monitor.core.delta import Delta, Past, between
from schema_monitor.core.lineage import Lineage
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.models import SchemaVersion
from schema_monitor.store import Version

MOST_DELTAS = 100
"""So many versions in a row are stored as deltas at most; fewer where together they are larger than a whole one."""
_SIZES = """
SELECT count(*) FILTER (WHERE v.epoch > base.epoch),
       coalesce(sum(pg_column_size(v.delta)) FILTER (WHERE v.epoch > base.epoch), 0),
       max(base.size)
FROM (SELECT epoch, pg_column_size(snapshot) + pg_column_size(lineage) AS size FROM schema_monitor_schemaversion
      WHERE snapshot IS NOT NULL ORDER BY epoch DESC LIMIT 1) base
JOIN schema_monitor_schemaversion v ON v.epoch >= base.epoch"""


def latest() -> Version | None:
    """Epoch, snapshot and lineage of the newest version, or None before the first capture."""
    return at(store.NEWEST)


def at(epoch: int) -> Version | None:
    """The version of that epoch (the newest one where there is none so new); None before the first."""
    return store.version(_fetch(store.UNTIL.format(until="%(epoch)s"), {"epoch": epoch}))


def of(version: SchemaVersion) -> Past:
    """The snapshot and the lineage of a row: as its writer knows them, as they are stored whole, or from those before it."""
    known: Past | None = getattr(version, "known", None)
    if known is not None:
        return known
    found = at(version.epoch)
    if found is None:
        raise LookupError(f"version {version.epoch} is not stored")
    return found[1:]


class Memory:
    """The newest version as last seen here; reads only what came since."""

    def __init__(self) -> None:
        self._version: Version | None = None

    def newest(self) -> Version | None:
        """The newest version now. Ask within the transaction that goes on from it."""
        if self._version is not None:
            rows = _fetch(store.SINCE.format(since="%(since)s"), {"since": self._version[0]})
            self._version = store.advanced(self._version, rows)
        if self._version is None:
            self._version = latest()
        return self._version

    @property
    def last(self) -> Version | None:
        """What was known when somebody last asked."""
        return self._version

    def keep(self, version: Version) -> None:
        """The newest version is this one, as soon as the transaction commits."""
        self._version = version

    def forget(self) -> None:
        """What was put in here may not have been stored after all."""
        self._version = None


def stored(old: Version | None, new: Past) -> dict[str, Any]:
    """The fields of ``SchemaVersion`` that hold a version: what changed where that is enough, and the whole now and then."""
    delta = None if old is None else between(old[1:], new)
    fields: dict[str, Any] = {"delta": None if delta is None else as_json(delta)}
    if delta is None or _whole_is_due():
        fields |= {"snapshot": as_json(new[0]), "lineage": as_json(new[1])}
    return fields


def delta_of(epoch: int) -> Delta | None:
    """The stored delta of one version."""
    body = SchemaVersion.objects.values_list("delta", flat=True).get(epoch=epoch)
    return None if body is None else msgspec.convert(body, Delta, str_keys=True)


def as_json(value: Snapshot | Lineage | Delta | object) -> object:
    """A value as a JSON field wants it."""
    return msgspec.to_builtins(value, str_keys=True)


def _whole_is_due() -> bool:
    ((count, size, whole),) = _fetch(_SIZES, {})
    return bool(whole is None or count + 1 >= MOST_DELTAS or size > whole)


def _fetch(query: str, values: dict[str, int]) -> Sequence[Sequence[Any]]:
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
