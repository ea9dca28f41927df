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
from msgspec.structs import replace

from schema_monitor import catalog, ddl_log, lease, reread
from schema_monitor.alerts import outbox
from schema_monitor.core.ddl import Author, Authors, News, sightings
from schema_monitor.core.delta import recalled, unchanged
from schema_monitor.core.diff import Change, diff, summary
from schema_monitor.core.lineage import LabelSighting, Lineage, Seen, Sighting
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.core.weigh import Weighed, World
from schema_monitor.models import SchemaChange, SchemaSighting, SchemaVersion
from schema_monitor.monitor_models import MonitorState
from schema_monitor.store import Version
from schema_monitor.versions import Memory, as_json, delta_of, of, stored
from schema_monitor.weights import weighed

LOCK = 0x6D656E6467617465  # "mendgate"
CHANNEL = "mendgate_snapshot"


def capture(
    cause: str,
    target: psycopg.Connection[Any] | None = None,
    *,
    memory: Memory | None = None,
    token: int | None = None,
    whole: bool = True,
) -> SchemaVersion | None:
    """Reads the target and stores a new version if its schema changed; returns that version, or None.

    ``cause`` is start, command, watcher or in_band; ``target`` an autocommit connection to read with, else one is made; ``memory``
    what the caller remembers of the newest version; ``token`` the right to write (``lease``), for a watcher; without ``whole`` only
    what the DDL log names is read, where that is enough. The first version has no change rows. Raises ``psycopg.Error`` where the
    target cannot be read, ``Superseded`` where another watcher is in charge, and ``django.db.Error`` where nothing could be stored;
    nothing is half done then.

    1. Take the lock: another capture ends first, and its version is the one to compare with.
    2. Read the DDL log, then the catalog. 3. Stop if the fingerprint is the same (names that were only sighted still join the
    lineage). 4. Store, and tell every process.
    """
    memory = memory or Memory()
    try:
        with transaction.atomic():
            _lock()
            if token is not None:
                lease.check(token)
            before = memory.newest()
            told = _take_sightings()
            now, news = read_target(before[1] if before else None, target, whole=whole)
            seen = [*told, *sightings(news.entries, now)]
            if before is not None and before[1].fingerprint == now.fingerprint:
                memory.keep(_recall(before, seen, news))
                return None
            version = _add(before, now, cause, seen, news)
            memory.keep((version.epoch, *of(version)))
            return version
    except BaseException:
        memory.forget()
        raise


def read_target(
    before: Snapshot | None = None, target: psycopg.Connection[Any] | None = None, *, whole: bool = True
) -> tuple[Snapshot, News]:
    """The target's schema as it is now, and what its DDL log says since ``before`` (nothing where there is no log)."""
    horizon = before.horizon if before else 0
    with nullcontext(target) if target else _connect() as conn:
        found = ddl_log.read_sync(conn, horizon)
        news = found or News(horizon)  # a log that cannot be read now is read from there on later
        now = None
        if before is not None and found is not None and not whole and 0 < horizon <= found.horizon and _asked(before):
            now = reread.read_changed(conn, before, found.within(before.scope).entries)
        if now is None:
            now = catalog.read_snapshot_sync(conn, settings.MENDGATE.exposed_schemas)
    return replace(now, horizon=news.horizon), news.within(now.scope)


def _asked(before: Snapshot) -> bool:
    return before.exposed == tuple(settings.MENDGATE.exposed_schemas)


def _connect() -> psycopg.Connection[Any]:
    url, name = settings.MENDGATE.target_database_url, "mendgate capture"
    return psycopg.connect(url, autocommit=True, connect_timeout=10, application_name=name, prepare_threshold=None)


def _lock() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"SET LOCAL idle_in_transaction_session_timeout = '{lease.SILENCE}s'")  # who vanished must not keep the lock
        cursor.execute("SELECT pg_advisory_xact_lock(%s)", [LOCK])


def _take_sightings() -> list[Seen]:
    """What gateways saw since the last capture; deleted when this transaction commits."""
    rows = list(SchemaSighting.objects.select_for_update().order_by("id"))
    SchemaSighting.objects.filter(id__in=[row.id for row in rows]).delete()
    return [_seen(row.body) for row in rows]


def _seen(body: dict[str, Any]) -> Seen:
    if "labels" in body:
        return msgspec.convert(body, LabelSighting, strict=False)
    return msgspec.convert(body, Sighting, strict=False)


def _recall(version: Version, seen: Sequence[Seen], news: News) -> Version:
    """The schema is as it was, and more may be known about its past: the same version with that."""
    epoch, snapshot, lineage = version
    row = SchemaVersion.objects.filter(epoch=epoch)
    if news.horizon != snapshot.horizon:
        row.update(horizon=news.horizon)
    known = lineage.recall(seen, snapshot)
    if known != lineage:
        row.update(delta=as_json(recalled(delta_of(epoch) or unchanged(snapshot), lineage, known)))
        _tell(epoch)
    return epoch, replace(snapshot, horizon=news.horizon), known


def _tell(epoch: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_notify(%s, %s)", [CHANNEL, f"schema:{epoch}"])


def _add(before: Version | None, now: Snapshot, cause: str, seen: Sequence[Seen], news: News) -> SchemaVersion:
    epoch, lineage, changes = _step(before, now)
    known = (now, lineage.recall(seen, now))
    weighty = weighed(changes, World(before[1], now, before[2], known[1])) if before else ()
    version = SchemaVersion(
        epoch=epoch,
        scope=as_json(now.scope),
        fingerprint=now.fingerprint,
        summary=summary(tuple(each.change for each in weighty)) if before else f"First look: {len(now.relations)} tables and views.",
        cause=cause,
        horizon=news.horizon,
        **stored(before, known),
    )
    version.known = known  # type: ignore[attr-defined]  # for whoever hears of it (versions.of)
    version.past = before[1] if before else None  # type: ignore[attr-defined]
    version.save(force_insert=True)
    if before is not None:
        authors = Authors(news.entries, before[1], now)
        rows = SchemaChange.objects.bulk_create([_row(version, each, authors.of(each.change)) for each in weighty])
        outbox.put(version, rows)
    _tell(epoch)
    return version


def _step(before: Version | None, now: Snapshot) -> tuple[int, Lineage, tuple[Change, ...]]:
    if before is None:
        return 1, Lineage.start(now), ()
    epoch, old, lineage = before
    return epoch + 1, lineage.advance(old, now), tuple(_consented(each) for each in diff(old, now))


def _consented(change: Change) -> Change:
    """That the DDL log is gone is bad news, unless somebody took it away on purpose."""
    if change.kind == "monitor_removed" and MonitorState.objects.filter(removed_at__isnull=False).exists():
        return replace(change, severity="low", sentence="The DDL log was removed from the target, as asked.")
    return change


def _row(version: SchemaVersion, each: Weighed, by: Author | None) -> SchemaChange:
    who = {} if by is None else msgspec.structs.asdict(by)
    return SchemaChange(version=version, **msgspec.structs.asdict(each.change), base_severity=each.base, hits=each.hits, **who)
