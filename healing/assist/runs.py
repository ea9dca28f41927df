"""The life of a run: asked for, claimed with a lease, put off, ended. At most one a cause is alive at a time.

::

    due ──claim──> working ──finish──> done
     ^               │
     └─ put off, or the lease was lost
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.db import connection, transaction
from django.utils import timezone

from healing.assist.models import AssistRun
from healing.doorbell import ASSIST, ring, ring_on_commit
from healing.models import QuarantineItem
from healing.refusals import WrongState
from schema_monitor import server_clock

State, Verdict = AssistRun.State, AssistRun.Verdict
LEASE_SECONDS = 240
MOST_ATTEMPTS = 3
"""deaths of workers after which a run is given up."""
OPEN = ("waiting", "parked")
_RECOVER = """
UPDATE healing_assistrun SET state = CASE WHEN attempts >= %s THEN 'done' ELSE 'due' END,
    verdict = CASE WHEN attempts >= %s THEN 'failed' ELSE verdict END, why = 'The worker ended during the run.',
    finished_at = CASE WHEN attempts >= %s THEN now() END, lease_until = NULL
WHERE state = 'working' AND lease_until < now()"""
_CLAIM = """
UPDATE healing_assistrun SET state = 'working', attempts = attempts + 1, lease_until = clock_timestamp() + make_interval(secs => %s)
WHERE id = (SELECT id FROM healing_assistrun WHERE state = 'due' AND due_at <= now() ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED)
RETURNING id"""


@transaction.atomic
def request(schema: str, table: str, signature: str, asked_by: str) -> AssistRun:
    """Asks about a cause, now, because a person wants it. A run that is alive already is hurried up."""
    place = {"schema": schema, "table": table, "signature": signature}
    if not QuarantineItem.objects.filter(**place, state__in=OPEN).exists():
        raise WrongState("Nothing of this cause waits.")
    run, _ = AssistRun.objects.exclude(state=State.DONE).get_or_create(**place, defaults={"asked_by": asked_by})
    AssistRun.objects.filter(pk=run.pk, state=State.DUE).update(due_at=server_clock.now(), asked_by=asked_by)
    ring_on_commit(ASSIST)
    return run


def claim() -> AssistRun | None:
    """The next due run, ours until its lease ends; runs of dead workers come back first."""
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(_RECOVER, [MOST_ATTEMPTS] * 3)
        cursor.execute(_CLAIM, [LEASE_SECONDS])
        row = cursor.fetchone()
    return AssistRun.objects.select_related("prompt").get(pk=row[0]) if row else None


def ours(run: AssistRun) -> bool:
    """Whether the lease is still ours; the row is locked until the transaction ends."""
    return AssistRun.objects.select_for_update().filter(pk=run.pk, state=State.WORKING, lease_until=run.lease_until).exists()


@transaction.atomic
def put_off(run: AssistRun, why: str, seconds: float) -> None:
    """Nobody could be asked now: healing goes on without, and the run is due again later."""
    if ours(run):
        AssistRun.objects.filter(pk=run.pk).update(
            state=State.DUE, verdict=Verdict.UNAVAILABLE, why=why, attempts=0, lease_until=None,
            due_at=server_clock.now() + timedelta(seconds=seconds),
        )  # fmt: skip


@transaction.atomic
def again(run: AssistRun, why: str, seconds: float) -> None:
    """It broke: due again, and the attempt counts."""
    if ours(run):
        due = server_clock.now() + timedelta(seconds=seconds)
        AssistRun.objects.filter(pk=run.pk).update(state=State.DUE, why=why, lease_until=None, due_at=due)


@transaction.atomic
def give_up(run: AssistRun, why: str) -> None:
    """It broke too often."""
    if ours(run):
        finish(run, Verdict.FAILED, why)


def finish(run: AssistRun, verdict: str, why: str) -> None:
    """Ends a run that is ours, in the caller's transaction; what came meanwhile and was not looked at is asked about anew."""
    run.state, run.verdict, run.why = State.DONE, verdict, why
    run.finished_at, run.lease_until = timezone.now(), None
    run.save()
    if verdict == Verdict.PROVEN and _waits_beside(run).exists():
        AssistRun.objects.create(schema=run.schema, table=run.table, signature=run.signature, fingerprint=run.fingerprint)
        ring_on_commit(ASSIST)


def ring_due() -> None:
    """For the sweeper: rings where something is due and no bell was heard."""
    now = server_clock.now()
    lost = AssistRun.objects.filter(state=State.WORKING, lease_until__lt=now)
    if (AssistRun.objects.filter(state=State.DUE, due_at__lte=now) | lost).exists():
        ring(ASSIST)


def _waits_beside(run: AssistRun) -> Any:
    cause = QuarantineItem.objects.filter(schema=run.schema, table=run.table, signature=run.signature, state__in=OPEN)
    return cause.exclude(pk__in=run.items)
