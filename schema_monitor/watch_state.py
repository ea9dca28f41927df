"""What the watcher tells everybody about itself: one row, a heartbeat every few seconds."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import psycopg
from django.db import DatabaseError, connection
from psycopg import sql
from psycopg.types.json import Jsonb

from schema_monitor.core.detectors import Verdict
from schema_monitor.monitor_models import TARGET, MonitorState

EVERY = 5.0
"""Seconds between two heartbeats while nothing else is new."""
TABLE = sql.Identifier("schema_monitor_monitorstate")
_REMOVED = "SELECT removed_at IS NOT NULL FROM schema_monitor_monitorstate WHERE target = %s"
NAME = f"{socket.gethostname()}:{os.getpid()}"[:100]


class Journal:
    """Writes the state through the watcher's own connection to the control database; its silence would end the watcher's lease."""

    def __init__(self, control: psycopg.Connection[Any], clock: Callable[[], float] = time.monotonic) -> None:
        self._control, self._clock = control, clock
        self._said: tuple[object, ...] | None = None
        self._due = 0.0

    def say(self, verdict: Verdict, *, monitor: str, heard_at: datetime | None, horizon: int, changed: bool) -> None:
        """The detector in force and what it promises; at once where that is new, else every few seconds. ``changed``: a version was
        stored just now; ``horizon``: the transactions that were looked at."""
        facts = (verdict, monitor, horizon)
        if facts == self._said and not changed and self._clock() < self._due:
            return
        self._said, self._due = facts, self._clock() + EVERY
        now = datetime.now(UTC)
        fields = {
            "detector": verdict.detector,
            "why_not": Jsonb(list(verdict.why_not)),
            "bound": verdict.bound,
            "bound_text": verdict.text,
            "trigger_present": monitor == "on",
            "monitor": monitor,
            "horizon": horizon,
            "heartbeat_at": now,
            "watcher": NAME,
            **({"heard_at": heard_at} if heard_at else {}),
            **({"last_change_at": now} if changed else {}),
        }
        _write(self._control, fields)

    def removed(self) -> bool:
        """Whether the DDL log was taken away on purpose."""
        return self._control.execute(_REMOVED, [TARGET]).fetchone() == (True,)


def say_away(why: str) -> None:
    """That nothing is seen now, as far as that can be said: the control database may be away too."""
    fields = {"detector": MonitorState.Detector.NONE, "why_not": [why], "bound": None, "bound_text": "Changes are not seen now."}
    try:
        MonitorState.objects.update_or_create(target=TARGET, defaults=fields)
    except DatabaseError:
        connection.close()


def _write(control: psycopg.Connection[Any], fields: dict[str, object]) -> None:
    given = {"target": TARGET, **fields}
    missing = {
        "why_not": Jsonb([]),
        "monitor": "",
        "bound_text": "",
        "detector": "none",
        "trigger_present": False,
        "horizon": 0,
        "watcher": "",
    }
    row = {**missing, **given}
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT (target) DO UPDATE SET {}").format(
        TABLE,
        sql.SQL(", ").join(map(sql.Identifier, row)),
        sql.SQL(", ").join(map(sql.Placeholder, row)),
        sql.SQL(", ").join(sql.SQL("{0} = excluded.{0}").format(sql.Identifier(name)) for name in fields),
    )
    control.execute(query, row)
