"""A stored version as a file: SQL that rebuilds it, or JSON.

Versions hold what serves requests. Texts of views and functions, domains, sequences and plain indexes are read from the target, which
has them for the schema as it is now: so they go with the newest version, as long as the target still is what that version says.
"""

from __future__ import annotations

import logging

import msgspec
import psycopg
from django.conf import settings

from schema_monitor import catalog, versions
from schema_monitor.core.definitions import Definitions
from schema_monitor.core.export import export
from schema_monitor.core.snapshot import Snapshot
from schema_monitor.definitions import read_definitions
from schema_monitor.models import SchemaVersion
from schema_monitor.store import Version

log = logging.getLogger(__name__)


class NoSuchVersion(LookupError):
    """No version has that epoch."""


def as_sql(epoch: int) -> str:
    """A script; what it lacks is said in its first lines. Raises ``NoSuchVersion``."""
    _, snapshot, _ = version(epoch)
    return export(snapshot, _definitions(epoch, snapshot)).sql(f"Schema version {epoch}")


def as_json(epoch: int) -> bytes:
    """``{"epoch", "snapshot", "definitions" (null where they are not known), "missing"}``. Raises ``NoSuchVersion``."""
    _, snapshot, _ = version(epoch)
    known = _definitions(epoch, snapshot)
    missing = export(snapshot, known).missing
    body = {"epoch": epoch, "snapshot": snapshot, "definitions": known, "missing": missing}
    return msgspec.json.format(msgspec.json.encode(body))


def version(epoch: int) -> Version:
    """One stored version. Raises ``NoSuchVersion``."""
    found = versions.at(epoch)
    if found is None or found[0] != epoch:
        raise NoSuchVersion(epoch)
    return found


def _definitions(epoch: int, snapshot: Snapshot) -> Definitions | None:
    """What the target says, where it still has the schema of that version."""
    if SchemaVersion.objects.filter(epoch__gt=epoch).exists():
        return None
    url, name = settings.MENDGATE.target_database_url, "mendgate export"
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=5, prepare_threshold=None, application_name=name) as target:
            known = read_definitions(target, snapshot)
            return known if catalog.read_snapshot_sync(target, snapshot.exposed).fingerprint == snapshot.fingerprint else None
    except psycopg.OperationalError as error:
        log.warning("exported without definitions, the target is away: %s", error)
        return None
