"""Reads what a snapshot leaves out (``core.definitions``) from a target. psycopg only: no Django."""

from __future__ import annotations

from typing import Any

import msgspec
from psycopg import RawCursor

from schema_monitor.catalog import SETTINGS, statement
from schema_monitor.core.definitions import Definitions
from schema_monitor.core.snapshot import Snapshot


def read_definitions(conn: Any, snapshot: Snapshot) -> Definitions:
    """The definitions of that snapshot's relations and of all types, sequences and functions, as they are now (psycopg connection)."""
    with conn.transaction(), RawCursor(conn) as cursor:
        cursor.execute(SETTINGS.format(plan="force_custom_plan"))
        (text,) = cursor.execute(statement("definitions"), [list(snapshot.relations)]).fetchone() or ("{}",)
    return msgspec.json.decode(text, type=Definitions)
