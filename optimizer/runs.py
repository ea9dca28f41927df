"""A run's life: asked for, claimed under a lease, done step by step, and gone on with where it stopped."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.utils import timezone

from healing.doorbell import ring_on_commit
from optimizer.models import OptimizationRun, Proposal
from optimizer.steps import STEPS, steps_of
from schema_monitor import server_clock

LEASE = timedelta(minutes=10)
MOST_ATTEMPTS = 3
JOB = "optimizer.jobs.work"
_LOCK = 0x6D67_6F70
State = OptimizationRun.State
Told = Callable[[OptimizationRun, str, str], None]


def ask(target: str, reason: str, asked_by: str = "", *, rings: bool = True) -> tuple[OptimizationRun, bool]:
    """The open run of a target, made where there is none (then a worker is told); and whether it is new."""
    open_run = OptimizationRun.objects.filter(target=target, state__in=[State.DUE, State.RUNNING])
    if (known := open_run.first()) is not None:
        return known, False
    try:
        with transaction.atomic():
            run = OptimizationRun.objects.create(target=target, reason=reason, asked_by=asked_by, steps=steps_of(target))
            if rings:
                ring_on_commit(JOB)
    except IntegrityError:  # somebody else asked in the same moment
        return open_run.get(), False
    return run, True


@transaction.atomic
def claim(run: OptimizationRun | None = None, now: datetime | None = None) -> OptimizationRun | None:
    """A run that is due, or whose worker died, under a lease of ours; None where there is none."""
    now = now or server_clock.now()
    free = Q(state=State.DUE) | Q(state=State.RUNNING, lease_until__lt=now)
    rows = OptimizationRun.objects.select_for_update(skip_locked=True).filter(free).order_by("created_at")
    found = (rows if run is None else rows.filter(pk=run.pk)).first()
    if found is None:
        return None
    if found.attempts >= MOST_ATTEMPTS:
        found.state, found.finished_at, found.why = State.FAILED, now, found.why or "It was begun three times and never ended."
        found.save()
        return None
    found.state, found.lease_until, found.attempts = State.RUNNING, now + LEASE, found.attempts + 1
    found.started_at = found.started_at or now
    found.save()
    return found


def carry_out(run: OptimizationRun, now: datetime | None = None, told: Told = lambda run, step, said: None) -> OptimizationRun:
    """Does what is left of a claimed run. A step that breaks is noted and does not keep the others from running."""
    for name in run.steps:
        if name in run.done or name not in STEPS:
            continue
        told(run, name, _step(run, name, now or timezone.now()))
    run.state, run.finished_at, run.lease_until = State.DONE, timezone.now(), None
    run.found = Proposal.objects.filter(run=run).count()
    run.save()
    return run


def _step(run: OptimizationRun, name: str, now: datetime) -> str:
    """One step under its advisory lock: two runs never do the same at once, and what another worker of this run did is not done again.
    What it stored, and that it is done, commit together."""
    try:
        with transaction.atomic():
            _alone(name)
            run.refresh_from_db(fields=["done"])
            if name not in run.done:
                _note(run, name, STEPS[name][1](run, now))
    except Exception as error:  # whatever it is, the other steps are of use
        _note(run, name, f"broke: {type(error).__name__}: {str(error).strip()[:200]}")
    return str(run.done[name])


def _note(run: OptimizationRun, name: str, said: str) -> None:
    run.done = {**run.done, name: said}
    run.lease_until = server_clock.now() + LEASE
    run.save(update_fields=["done", "lease_until"])


def _alone(step: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(%s, hashtext(%s))", [_LOCK, step])
