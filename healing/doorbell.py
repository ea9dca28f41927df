"""Rings for a worker. A lost ring loses nothing: the sweeper finds the rows within its next round."""

from __future__ import annotations

import logging

import django_rq
from django.db import transaction
from redis.exceptions import RedisError

logger = logging.getLogger(__name__)

DRAIN, SWEEP = "healing.jobs.drain", "healing.jobs.sweep"
ASSIST = "healing.assist.jobs.work"
OPTIMIZE = "optimizer.jobs.look"
"""A layer above: known here by name only. It looks for the triggers that fire (``metrics.models.Trigger``)."""
MIGRATE, TAKE_BACK = "healing.jobs.migrate", "healing.jobs.take_back"
_QUEUES = {ASSIST: "ai"}
"""jobs with a queue, and a worker, of their own: one that waits for an AI must not keep replays waiting."""


def ring_on_commit(job: str = DRAIN) -> None:
    """Rings once the rows that the worker shall find are there."""
    transaction.on_commit(lambda: ring(job), robust=True)


def ring(job: str = DRAIN) -> bool:
    """Whether a worker was told. Redis being gone is no error here."""
    try:
        django_rq.get_queue(_QUEUES.get(job, "default"), commit_mode="auto").enqueue(job, result_ttl=0, failure_ttl=86400)
    except (RedisError, OSError) as error:
        logger.warning("the doorbell is out of order, the sweeper will do it: %s", error)
        return False
    return True
