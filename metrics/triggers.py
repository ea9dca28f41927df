"""Judges the figures and remembers what fired: one row from its beginning to its end, however often it is seen."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

from django.db import transaction
from django.utils import timezone

from metrics import timelines
from metrics.core.names import METRICS
from metrics.core.triggers import LIMITS, WINDOWS, Finding, Limit, judge
from metrics.models import Threshold, Trigger

QUIET = timedelta(minutes=10)
"""A trigger that is not found for so long has ended: one that flickers is one."""
Listener = Callable[[Sequence[Trigger], Sequence[Trigger]], None]
_listeners: list[Listener] = []
logger = logging.getLogger(__name__)


def when_looked(listener: Listener) -> None:
    """Calls the listener after each look with every trigger that fires, and with those of them that just began, in the transaction that
    stores them. A listener that raises is undone and the triggers are stored: it hears of them again at the next look."""
    if listener not in _listeners:
        _listeners.append(listener)


def limits() -> dict[str, Limit]:
    """What is in force: people's thresholds over ours."""
    found = {limit.name: limit for limit in LIMITS}
    for row in Threshold.objects.filter(name__in=found):
        ours = found[row.name]
        found[row.name] = Limit(row.name, ours.title, row.bound, ours.unit, row.least, row.on)
    return found


def look(now: datetime | None = None) -> list[Trigger]:
    """Judges now; returns the triggers that began to fire."""
    now = now or timezone.now()
    with timelines.one_moment():
        places = timelines.asked(METRICS)
        stretches = {window: timelines.whole(places, now - timedelta(seconds=window)) for window in WINDOWS}
    return remember(judge(stretches, limits()), now)


@transaction.atomic
def remember(findings: list[Finding], now: datetime) -> list[Trigger]:
    """Stores what was found; ends what was not found for a while."""
    open_rows = {(row.name, row.about): row for row in Trigger.objects.select_for_update().filter(ended=None)}
    begun = []
    for finding in findings:
        row = open_rows.get((finding.name, finding.about))
        if row is None:
            row = Trigger(name=finding.name, about=finding.about, since=now)
            begun.append(row)
        row.sentence, row.evidence, row.seen = finding.sentence, finding.evidence, now
        row.save()
    Trigger.objects.filter(ended=None, seen__lt=now - QUIET).update(ended=now)
    _tell(list(Trigger.objects.filter(ended=None).order_by("pk")), begun)
    return begun


def _tell(firing: list[Trigger], begun: list[Trigger]) -> None:
    for listener in _listeners:
        try:
            with transaction.atomic():
                listener(firing, begun)
        except Exception:
            logger.exception("triggers: %s failed", listener)
