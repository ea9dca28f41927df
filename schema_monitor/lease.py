"""Who may write versions: one watcher at a time, and nobody who was in charge before.

A lock of the watcher's own session with the control database says who is in charge; the others wait for it. Whoever gets it raises
the fencing token. A capture reads the token within the transaction that stores the version, and holds it there: a watcher that
lost its lock (its connection is gone, and it does not know yet) stores nothing any more. A session that says nothing for a while
is ended by the server, so that a watcher that vanished does not stay in charge; one that comes back ends its own former sessions
at once.
"""

from __future__ import annotations

from typing import Any

import psycopg
from django.db import connection

from schema_monitor.monitor_models import TARGET

LOCK = 0x6D656E6477617463  # "mendwatc"
SILENCE = 150
"""Seconds; longer than a capture may take (``watch.PATIENCE_READING``)."""
_SESSIONS = "SELECT pid, backend_start FROM pg_stat_activity WHERE pid = ANY(%s)"
_END = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = %s AND backend_start = %s AND pid <> pg_backend_pid()"
_RAISE = """
INSERT INTO schema_monitor_writerlease (target, token) VALUES (%s, 1)
ON CONFLICT (target) DO UPDATE SET token = schema_monitor_writerlease.token + 1 RETURNING token"""
_HELD = "SELECT token FROM schema_monitor_writerlease WHERE target = %s FOR SHARE"


class Superseded(Exception):
    """Another watcher is in charge now."""


def take(control: psycopg.Connection[Any], behind_pooler: psycopg.Connection[Any] | None = None) -> int | None:
    """The token of whoever is in charge through this connection from now on; None while another one is. A session is not ours behind a
    transaction pooler: there the lock is one transaction's, which stays open on a connection for it alone."""
    if not (_in_transaction(behind_pooler) if behind_pooler else _in_session(control)):
        return None
    (token,) = control.execute(_RAISE, [TARGET]).fetchone() or (0,)
    return int(token)


def _in_session(control: psycopg.Connection[Any]) -> bool:
    if control.info.server_version >= 140000:
        control.execute(f"SET idle_session_timeout = '{SILENCE}s'")
    return control.execute("SELECT pg_try_advisory_lock(%s)", [LOCK]).fetchone() == (True,)


def _in_transaction(lock: psycopg.Connection[Any]) -> bool:
    """A transaction that only waits holds back no clean-up: it has no snapshot."""
    lock.execute("BEGIN")
    if lock.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK]).fetchone() == (True,):
        return True
    lock.execute("ROLLBACK")
    return False


def behind_pooler(control: psycopg.Connection[Any]) -> bool:
    """Whether somebody else answered when we connected: the session that serves us may be another one in the next transaction."""
    return control.execute("SELECT pg_catalog.pg_backend_pid()").fetchone() != (control.info.backend_pid,)


Session = tuple[int, object]


def sessions(control: psycopg.Connection[Any]) -> list[Session]:
    """Who this process is to the control database: this connection, and Django's."""
    connection.ensure_connection()
    pids = [control.info.backend_pid, connection.connection.info.backend_pid]
    return [(pid, began) for pid, began in control.execute(_SESSIONS, [pids]).fetchall()]


def end(control: psycopg.Connection[Any], former: list[Session]) -> None:
    """Ends sessions that this process had, and that the server may still believe in."""
    for session in former:
        control.execute(_END, session)


def check(token: int) -> None:
    """Within the transaction that stores a version: it is still ours, and stays so until this transaction ends. Raises ``Superseded``."""
    with connection.cursor() as cursor:
        cursor.execute(_HELD, [TARGET])
        if cursor.fetchone() != (token,):
            raise Superseded
