"""The schema that a command works with: the newest captured version, or a database as it is at this moment."""

from __future__ import annotations

import psycopg
from django.conf import settings
from django.db import Error as ControlDatabaseError

from schema_monitor import catalog, versions
from schema_monitor.core.lineage import Lineage
from schema_monitor.store import Version


class NoSchema(Exception):
    """There is none: the message says why and what to do."""


def known_schema(database: str | None = None) -> Version:
    """Epoch, snapshot and lineage; with ``database`` (a URL) epoch 0 and no past. Raises ``NoSchema``."""
    return _live(database) if database else _captured()


def _captured() -> Version:
    try:
        newest = versions.latest()
    except ControlDatabaseError as error:
        why = str(error).strip()
        raise NoSchema(f"The control database cannot be read: {why} Give --database URL to read a schema directly.") from error
    if newest is None:
        raise NoSchema(
            "No schema version has been captured yet. Run: python manage.py capture_schema (or give --database URL to read one directly)."
        )
    return newest


def _live(url: str) -> Version:
    try:
        with psycopg.connect(url, autocommit=True, connect_timeout=10) as connection:
            snapshot = catalog.read_snapshot_sync(connection, settings.MENDGATE.exposed_schemas)
    except psycopg.Error as error:
        raise NoSchema(f"The schema cannot be read from --database: {str(error).strip()}") from error
    return 0, snapshot, Lineage.start(snapshot)
