"""Takes a version of the target's schema into the control database.

One writer at a time, by an advisory lock there. The version, its changes and the notification commit together; epochs have no gaps.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from typing import Any

import msgspec
import psycopg
from django.conf import settings
from django.db import connection, transaction

from schema_monitor import catalog, ddl_log, store
from schema_monitor.alerts import outbox
from schema_monitor.core.ddl import Author, News, author, sightings
from schema_monitor.core.diff import Change, diff, summary
from schema_monitor.core.lineage import Lineage, Seen, Sighting
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.models import SchemaChange, SchemaSighting, SchemaVersion

LOCK = 0x6D656E6467617465  # "mendgate"
CHANNEL = "mendgate_snapshot"


def capture(cause: str, target: psycopg.Connection[Any] | None = None) -> SchemaVersion | None:
    """Reads the target and stores a new version if its schema changed; returns that version, or None.

    ``cause`` is start, command, watcher or in_band; ``target`` an autocommit connection to read with, else one is made. The first
    version has no change rows. Raises ``psycopg.Error`` where the target cannot be read and ``django.db.Error`` where nothing could
    be stored; nothing is half done then.

    1. Take the lock: another capture ends first, and its version is the one to compare with.
    2. Read the DDL log, then the catalog. 3. Stop if the fingerprint is the same (names that were only sighted still join the
    lineage). 4. Store, and tell every process.
    """
    with transaction.atomic():
        _lock()
        before = _latest()
        told = _take_sightings()
        now, news = read_target(before[1].horizon if before else 0, target)
        seen = [*told, *sightings(news.entries, now)]
        if before is not None and before[1].fingerprint == now.fingerprint:
            _recall(before, seen, news)
            return None
        return _add(before, now, cause, seen, news)


def read_target(horizon: int = 0, target: psycopg.Connection[Any] | None = None) -> tuple[Snapshot, News]:
    """The target's schema as it is now, and what its DDL log says from that horizon on (nothing where there is no log)."""
    with nullcontext(target) if target else _connect() as conn:
        news = ddl_log.read_sync(conn, horizon) or News()
        now = catalog.read_snapshot_sync(conn, settings.MENDGATE.exposed_schemas)
    return now, news.within(now.scope)


def _connect() -> psycopg.Connection[Any]:
    return psycopg.connect(settings.MENDGATE.target_database_url, autocommit=True, connect_timeout=10, application_name="mendgate capture")


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def _latest() -> store.Version | None:
    with connection.cursor() as cursor:
        cursor.execute(store.LATEST)
        return store.version(cursor.fetchone())


def _take_sightings() -> list[Seen]:
    """What gateways saw since the last capture; deleted when this transaction commits."""
    rows = list(SchemaSighting.objects.select_for_update().order_by("id"))
    SchemaSighting.objects.filter(id__in=[row.id for row in rows]).delete()
    return [msgspec.convert(row.body, Sighting, strict=False) for row in rows]


def _recall(version: store.Version, seen: Sequence[Seen], news: News) -> None:
    """The schema is as it was, and more may be known about its past."""
    epoch, snapshot, lineage = version
    stored = SchemaVersion.objects.filter(epoch=epoch)
    if news.horizon != snapshot.horizon:
        stored.update(horizon=news.horizon)
    recalled = lineage.recall(seen, snapshot)
    if recalled != lineage:
        stored.update(lineage=_json(recalled))
        _tell(epoch)


def _tell(epoch: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"schema:{epoch}"])


def _add(before: store.Version | None, now: Snapshot, cause: str, seen: Sequence[Seen], news: News) -> SchemaVersion:
    epoch, lineage, changes = _step(before, now)
    version = SchemaVersion.objects.create(
        epoch=epoch,
        scope=_json(now.scope),
        fingerprint=now.fingerprint,
        snapshot=_json(now),
        lineage=_json(lineage.recall(seen, now)),
        summary=summary(changes) if before else f"First look: {len(now.relations)} tables and views.",
        cause=cause,
        horizon=news.horizon,
    )
    if before is not None:
        rows = SchemaChange.objects.bulk_create([_row(version, each, author(each, news.entries, before[1], now)) for each in changes])
        outbox.put(version, rows)
    _tell(epoch)
    return version


def _step(before: store.Version | None, now: Snapshot) -> tuple[int, Lineage, tuple[Change, ...]]:
    if before is None:
        return 1, Lineage.start(now), ()
    epoch, old, lineage = before
    return epoch + 1, lineage.advance(old, now), diff(old, now)


def _row(version: SchemaVersion, change: Change, by: Author | None) -> SchemaChange:
    who = {} if by is None else msgspec.structs.asdict(by)
    return SchemaChange(version=version, **msgspec.structs.asdict(change), **who)


def _json(value: object) -> object:
    return msgspec.to_builtins(value, str_keys=True)
