"""Weighs what changed by what callers sent in the last seven days. The pure part is ``core.weigh``."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from schema_monitor import traffic
from schema_monitor.core.changes import Change
from schema_monitor.core.weigh import Weighed, World, concerned, weigh

log = logging.getLogger(__name__)


def weighed(changes: Sequence[Change], world: World) -> tuple[Weighed, ...]:
    """The changes by their final severity. Where the traffic cannot be read they have the severity of their kind: a change is
    stored in any case."""
    try:
        with transaction.atomic():
            shapes = traffic.recent_shapes(relation_oids=concerned(changes, world))
            return weigh(changes, world, shapes, certain=is_certain())
    except Exception:
        log.exception("changes could not be weighed by traffic")
        return tuple(Weighed(change, change.severity) for change in changes)


def is_certain() -> bool:
    """Whether a caller who is in no shape of the last seven days sent nothing: recording has run for that long, and lost nothing."""
    known, begin = traffic.known(), timezone.now() - timedelta(days=traffic.DAYS)
    return known.since is not None and known.since <= begin and (known.lost_at is None or known.lost_at < begin)
