"""Rings for the worker that delivers. A lost ring loses nothing: the sweep finds what is due.

It rings from the watcher, between a capture and the next: a Redis that hangs may cost it a second, never more.
"""

from __future__ import annotations

import logging

import django_rq
import redis
from django.conf import settings
from django.db import transaction

logger = logging.getLogger(__name__)

DELIVER = "schema_monitor.alerts.jobs.deliver"
PATIENCE = 0.5
"""Seconds to connect, and again to be answered."""


def ring_on_commit() -> None:
    """Rings once the messages are there to be found; however often it is asked in a transaction, it may ring as often."""
    transaction.on_commit(ring, robust=True)


def ring() -> bool:
    """Whether a worker was told. Redis being gone is no error here."""
    try:
        with _connection() as connection:
            queue = django_rq.get_queue("default", commit_mode="auto", connection=connection)
            queue.enqueue(DELIVER, result_ttl=0, failure_ttl=86400)
    except (redis.RedisError, OSError) as error:
        logger.warning("the doorbell is out of order, the sweep will do it: %s", error)
        return False
    return True


def _connection() -> redis.Redis:
    url = settings.RQ_QUEUES["default"].get("URL")
    if url is None:  # sentinels: they have a patience of their own
        return django_rq.get_connection("default")
    return redis.Redis.from_url(url, socket_connect_timeout=PATIENCE, socket_timeout=PATIENCE)
