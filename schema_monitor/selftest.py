"""Does the watching work? Asked from outside the watcher, with connections of its own, for the dashboard and the command line."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import msgspec
import psycopg
from django.conf import settings
from django.utils import timezone
from msgspec import Struct
from psycopg import errors

from schema_monitor import ddl_log, install
from schema_monitor.monitor_models import TARGET, MonitorState
from schema_monitor.watch_state import EVERY

INSTALL = "python manage.py install_monitor"
WATCH = "python manage.py watch_schema (a child of `up`)"
HEARD_WITHIN, SEEN_WITHIN = 2.0, 5.0
"""Seconds to wait for a notification to ourselves; and for the canary, beyond the bound."""


class Check(Struct, frozen=True):
    """One thing that was looked at. ``fix`` says what to do where it is not ok."""

    name: str
    ok: bool
    detail: str
    fix: str = ""


def run(canary: bool = False) -> list[Check]:
    """Looks at everything, best known first; ``canary`` also makes a table in schema mendgate and drops it, in a transaction of its own,
    and waits until the watcher has seen that. The result is kept in ``MonitorState``. Changes nothing else; never raises for a
    target that is away."""
    found = [_heartbeat()]
    try:
        with _connect() as target:
            found += _target(target)
            if canary:
                found.append(_canary(target))
    except psycopg.Error as error:
        found.append(Check("target", False, f"The target does not answer: {_first(error)}", "Check TARGET_DATABASE_URL."))
    _keep(found)
    return found


def _target(target: psycopg.Connection[Any]) -> Iterator[Check]:
    monitor = install.look(target)
    yield _triggers(monitor)
    yield _log(target, monitor)
    yield _notifications(target, monitor)


def _heartbeat() -> Check:
    state = MonitorState.objects.filter(target=TARGET).first()
    if state is None or state.heartbeat_at is None:
        return Check("watcher", False, "No watcher has ever said that it watches.", WATCH)
    age = (timezone.now() - state.heartbeat_at).total_seconds()
    if age > 3 * EVERY:
        return Check("watcher", False, f"The watcher said nothing for {age:.0f} s.", WATCH)
    if state.detector == MonitorState.Detector.NONE:
        return Check("watcher", False, " ".join(state.why_not) or "The target does not answer.", "Check TARGET_DATABASE_URL.")
    return Check("watcher", True, f"{state.get_detector_display()}. {state.bound_text}", "")


def _triggers(monitor: install.Monitor) -> Check:
    if monitor.filled:
        return Check("event triggers", True, "Both are there and enabled.")
    return Check("event triggers", False, "They are missing or disabled: who changes what is not known.", INSTALL)


def _log(target: psycopg.Connection[Any], monitor: install.Monitor) -> Check:
    if not monitor.readable:
        return Check("DDL log", False, "It is not there, or our login may not read it.", INSTALL)
    news = ddl_log.read_sync(target, 2**62)
    if news is None:
        return Check("DDL log", False, "It cannot be read: its table was altered, or is locked.", INSTALL)
    (count,) = target.execute("SELECT count(*) FROM mendgate.ddl_log").fetchone() or (0,)
    return Check("DDL log", True, f"Readable, {count} entries.")


def _notifications(target: psycopg.Connection[Any], monitor: install.Monitor) -> Check:
    """A notification to ourselves, on a channel of our own, through two connections as the watcher has them."""
    channel = "mendgate_selftest"
    try:
        with _connect() as listening:
            listening.execute(f"LISTEN {channel}")
            target.execute(f"NOTIFY {channel}")
            heard = bool(list(listening.notifies(timeout=HEARD_WITHIN, stop_after=1)))
    except (errors.ReadOnlySqlTransaction, errors.FeatureNotSupported):
        return Check("notifications", False, "Not possible on a standby.", "Point TARGET_DATABASE_URL at the primary.")
    if not heard:
        return Check("notifications", False, "They do not arrive.", "Use a direct or a session connection (Supabase: port 5432).")
    if not monitor.notifies:
        return Check("notifications", True, "They arrive, but the log sends none (mendgate.notify, max_prepared_transactions).")
    return Check("notifications", True, "They arrive.")


def _canary(target: psycopg.Connection[Any]) -> Check:
    try:
        began = time.monotonic()
        (xid,) = target.execute("SELECT mendgate.canary()::text::int8").fetchone() or (0,)
    except (errors.UndefinedFunction, errors.InvalidSchemaName, errors.InsufficientPrivilege, errors.ReadOnlySqlTransaction):
        return Check("canary", False, "Only through the DDL log can a change that leaves nothing behind be seen.", INSTALL)
    state = MonitorState.objects.filter(target=TARGET).first()
    bound = (state.bound if state else None) or 1.0
    while (took := time.monotonic() - began) < bound + SEEN_WITHIN:
        if MonitorState.objects.filter(target=TARGET, horizon__gt=xid).exists():
            return Check(
                "canary", took <= bound, f"Seen after {took * 1000:.0f} ms; promised are {bound:g} s.", "" if took <= bound else WATCH
            )
        time.sleep(0.02)
    return Check("canary", False, f"Not seen within {took:.0f} s.", WATCH)


def _keep(found: list[Check]) -> None:
    values = {"self_test": msgspec.to_builtins(found), "self_tested_at": timezone.now()}
    MonitorState.objects.update_or_create(target=TARGET, defaults=values)


def _connect() -> psycopg.Connection[Any]:
    url = settings.MENDGATE.target_database_url
    return psycopg.connect(url, autocommit=True, connect_timeout=5, application_name="mendgate self-test", prepare_threshold=None)


def _first(error: psycopg.Error) -> str:
    return str(error).strip().split("\n", 1)[0]
