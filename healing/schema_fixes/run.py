"""Runs approved migrations on the target, where the operator allowed it: in a worker, one at a time, as the login made for it.

1. claim a due one; while it runs it has a lease, so a worker that dies is noticed
2. the proposal is made again from the schema of now: SQL that would be another by now is not run. Then the impact check: a migration
   that would make a recorded caller worse off, or that Postgres refuses on a copy, is not run
3. each statement in a transaction of its own under lock and statement time-outs; a lock that is not had is tried for again, later
4. the schema is captured at once, and what waited is replayed
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any

import psycopg
from django.conf import settings
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from healing import audit, impact
from healing.doorbell import MIGRATE, ring
from healing.refusals import Refused
from healing.schema_fixes.landing import land
from healing.schema_fixes.models import SchemaFix
from healing.schema_fixes.offers import offers_for
from schema_monitor import server_clock
from schema_monitor.capture import capture
from schema_monitor.core.impact import Verdict

log = logging.getLogger("mendgate.ddl")

State = SchemaFix.State
LOCK_TIMEOUT, STATEMENT_TIMEOUT = "3s", "60s"
_LEASE = timedelta(minutes=4)
"""Longer than a job may take."""
MOST_TRIES = 5
_AGAIN = timedelta(seconds=20)


class Stop(Exception):
    """It is not run, or did not go through; the message is for a person. ``again``: it may work later."""

    def __init__(self, message: str, code: str = "MG422", *, again: bool = False) -> None:
        super().__init__(message)
        self.code, self.again = code, again


def run_due() -> int:
    """Runs what is due; returns how many were tried. Nothing where DDL is not allowed (any more)."""
    tried = 0
    while settings.MENDGATE.ddl_database_url and (fix := _claim()) is not None:
        tried += 1
        _work(fix)
    return tried


@transaction.atomic
def _claim() -> SchemaFix | None:
    now = server_clock.now()
    due = SchemaFix.objects.select_for_update(skip_locked=True, of=("self",)).select_related("decided_by")
    fix = due.filter(Q(state=State.APPROVED) | Q(state=State.RUNNING), by_us=True, due_at__lte=now).order_by("decided_at").first()
    if fix is not None:
        fix.state, fix.due_at, fix.tries = State.RUNNING, now + _LEASE, fix.tries + 1
        fix.save(update_fields=["state", "due_at", "tries"])
    return fix


def _work(fix: SchemaFix) -> None:
    """A migration whose worker died may have gone through, or a person ran it: the schema tells."""
    try:
        if _captured(fix):
            return
        if fix.tries > MOST_TRIES:
            raise Stop("The worker ended each time it was run: see its log.", "MG500")
        if fix.done == 0:
            _require_offered(fix)
            fix.impact = _checked(fix)
            fix.save(update_fields=["impact"])
        _carry_out(fix)
        if not _captured(fix):
            raise Stop("It ran, but what waits for it would still not fit.")
    except Stop as stop:
        _stopped(fix, stop)
    except psycopg.OperationalError as error:
        _stopped(fix, Stop(f"The target did not answer: {_first_line(error)}", "MG503", again=True))
    except Exception as error:
        log.exception("migration %s broke", fix.pk)
        _stopped(fix, Stop(f"It broke: {type(error).__name__}. See the worker's log.", "MG500", again=True))


def _captured(fix: SchemaFix) -> bool:
    capture("command")
    fix.refresh_from_db()
    return fix.state == State.LANDED or land(fix)


def _require_offered(fix: SchemaFix) -> None:
    """SQL that was made from a schema which is another by now could take back what came in between: a check list is written whole."""
    place = (fix.schema, fix.table, fix.signature)
    if all(offer.content_hash != fix.content_hash for offer in offers_for([place])[place].schema):
        raise Stop("The schema, or what waits, has changed since it was approved: look at the proposals again.", "MG409")


def _checked(fix: SchemaFix) -> str:
    """What the impact check says; ``Stop`` where it speaks against it."""
    try:
        found = impact.check(fix.sql, f"schema proposal {fix.pk}")
    except impact.CannotCheck as error:
        return f"Not checked: {error.message}"
    except Refused as error:
        raise Stop(f"The impact check could not be made: {error.message}", error.code, again=True) from error
    if found.refusal is not None:
        raise Stop(f"On a copy of the schema Postgres refused it: {found.refusal.message}", found.refusal.code)
    if found.verdict is not Verdict.FITS and found.verdict is not Verdict.HEALS:
        names = ", ".join(caller.name for caller in found.callers if caller.worse)
        raise Stop(f"The impact check says that callers would be worse off: {names or found.verdict.value}.")
    return f"Checked against schema version {found.epoch}: no recorded caller is worse off."


def _carry_out(fix: SchemaFix) -> None:
    url, name = str(settings.MENDGATE.ddl_database_url), "mendgate-ddl"
    with psycopg.connect(url, autocommit=True, connect_timeout=5, prepare_threshold=None, application_name=name) as target:
        for statement in fix.statements[fix.done :]:
            with _words(), target.transaction():
                target.execute(f"SET LOCAL lock_timeout = '{LOCK_TIMEOUT}'")
                target.execute(f"SET LOCAL statement_timeout = '{STATEMENT_TIMEOUT}'")
                target.execute(statement.encode())
            fix.done += 1
            fix.save(update_fields=["done"])


@contextmanager
def _words() -> Iterator[None]:
    """Turns what the database says into ours. A lock that is not had, and a deadlock, are worth another try."""
    try:
        yield
    except psycopg.Error as error:
        if error.sqlstate is None:
            raise
        again = isinstance(error, psycopg.errors.LockNotAvailable | psycopg.errors.DeadlockDetected)
        raise Stop(str(error.diag.message_primary or error), error.sqlstate, again=again) from error


def _stopped(fix: SchemaFix, stop: Stop) -> None:
    """Tries again later, or says why not. Statements that are committed stay committed, and are not run again."""
    fix.error = {"code": stop.code, "message": str(stop), "details": None, "hint": None}
    if stop.again and fix.tries < MOST_TRIES:
        fix.state, fix.due_at = State.APPROVED, server_clock.now() + _AGAIN * fix.tries
    else:
        fix.state, fix.due_at, fix.finished_at = State.FAILED, None, timezone.now()
    with transaction.atomic():
        fix.save()
        audit.record("worker", "run", "migration", fix.pk, content_hash=fix.content_hash, why=f"{fix.state}: {stop}")
    log.warning("migration %s: %s", fix.pk, stop)


def ring_due() -> None:
    """Rings for what is due."""
    if settings.MENDGATE.ddl_database_url and SchemaFix.objects.filter(by_us=True, due_at__lte=server_clock.now()).exists():
        ring(MIGRATE)


def _first_line(error: Any) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
