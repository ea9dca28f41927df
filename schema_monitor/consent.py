"""Whether we may put the DDL log into the target unasked: not after somebody took it away."""

from __future__ import annotations

from datetime import datetime

from django.db import connection

_WITHDRAWN = "SELECT removed_at FROM schema_monitor_monitorstate WHERE target = 'target'"
_WITHDRAW = """
INSERT INTO schema_monitor_monitorstate (target, detector, why_not, bound_text, trigger_present, monitor, horizon, watcher, removed_at)
VALUES ('target', 'none', '[]', '', false, '', 0, '', now()) ON CONFLICT (target) DO UPDATE SET removed_at = now()"""
_GIVE = "UPDATE schema_monitor_monitorstate SET removed_at = NULL WHERE target = 'target'"


def withdrawn() -> datetime | None:
    """When somebody removed the log on purpose; None where nobody did."""
    with connection.cursor() as cursor:
        cursor.execute(_WITHDRAWN)
        row = cursor.fetchone()
    return row[0] if row else None


def withdraw() -> None:
    """Remembers that the log was removed on purpose: only ``install_monitor`` installs it again."""
    _run(_WITHDRAW)


def give() -> None:
    """Remembers that the log is wanted."""
    _run(_GIVE)


def _run(query: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(query)
