"""When it runs by itself: weekly as set, and when a trigger fires that it can do something about."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction

from healing import audit, permits
from healing.refusals import DoesNotFit
from metrics.models import Trigger
from optimizer import runs
from optimizer.models import OptimizationRun, Schedule

CHANGE = "optimizer.change_schedule"
TARGETS = {
    "healing_success": "rules", "ai_fix_rate": "rules", "growing_quarantine": "rules", "breaker_trips": "breakers",
    "cache_invalidations": "schema", "slow_healing": "writes",
}  # fmt: skip
"""Trigger -> what may help."""
REST = timedelta(hours=6)
"""A trigger rings at most so often."""


def load() -> Schedule:
    """The row; its defaults where it was never saved."""
    return Schedule.objects.filter(pk=1).first() or Schedule(pk=1)


@transaction.atomic
def change(weekday: int, hour: int, on: bool, user: object) -> Schedule:
    """Another hour of the week, or off."""
    who = permits.require(user, CHANGE)
    if not (0 <= weekday <= 6 and 0 <= hour <= 23):
        raise DoesNotFit("A schedule is a day of the week and an hour from 0 to 23.")
    row = load()
    row.weekday, row.hour, row.on = weekday, hour, on
    row.save()
    audit.record(who.username, "set", "schedule", "optimizer", why=str(row))
    return row


@transaction.atomic
def ask_due(now: datetime) -> list[OptimizationRun]:
    """Asks for the runs that are due now; returns those that are new."""
    found = []
    row = Schedule.objects.select_for_update().filter(pk=1).first() or Schedule(pk=1)
    if row.on and (row.last_at is None or row.last_at < last_time(row, now)):
        if row.last_at is not None:  # a fresh installation waits for its first hour
            found.append(runs.ask("all", OptimizationRun.Reason.CRON, str(row)))
        row.last_at = now
        row.save()
    for trigger in Trigger.objects.filter(ended=None, name__in=TARGETS):
        target = TARGETS[trigger.name]
        if not OptimizationRun.objects.filter(target=target, reason="trigger", created_at__gt=now - REST).exists():
            found.append(runs.ask(target, OptimizationRun.Reason.TRIGGER, trigger.sentence[:150]))
    return [run for run, new in found if new]


def last_time(row: Schedule, now: datetime) -> datetime:
    """The last moment at or before ``now`` that the schedule names."""
    day = now.replace(hour=row.hour, minute=0, second=0, microsecond=0) - timedelta(days=(now.weekday() - row.weekday) % 7)
    return day if day <= now else day - timedelta(days=7)
