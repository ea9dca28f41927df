"""``rqworker`` with the serializer that our queues use (django-rq's own default would unpickle what Redis holds) and our worker."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from django.core.management.base import CommandError
from django.db import DatabaseError
from django.urls import get_resolver
from django_rq.management.commands import rqworker

from breakers import publish
from resilience_site import pulse
from resilience_site.config import config
from resilience_site.staying import stay
from resilience_site.valkey_kind import ClusterRefused, require_one
from resilience_site.worker import ReportingWorker

WORKER_TTL = 75
"""Seconds. An idle worker shows itself a quarter of a minute sooner than that: what watches it need not wait for RQ's seven minutes."""
ENDS_BY_ITSELF = ("burst", "max_jobs", "max_idle_time")

log = logging.getLogger(__name__)


class Command(rqworker.Command):
    """Works on the queue ``default``, or on those named."""

    def add_arguments(self, parser: Any) -> None:
        """As in django-rq; only the default differs."""
        super().add_arguments(parser)  # type: ignore[no-untyped-call]
        worker = "resilience_site.worker.ReportingWorker"
        parser.set_defaults(serializer="rq.serializers.JSONSerializer", worker_class=worker, worker_ttl=WORKER_TTL)

    def handle(self, *args: Any, **options: Any) -> None:
        """Works until stopped, also through Valkey being away. The pages' addresses, which alerts link to, are imported once, not by each
        job's process."""
        _ = get_resolver().url_patterns
        _load_breakers()
        try:
            require_one(config().redis_url)
        except ClusterRefused as error:
            raise CommandError(str(error)) from None
        once = any(options.get(name) for name in ENDS_BY_ITSELF)
        beat = partial(pulse.beat, config().home, "-".join(args or ("default",)))
        stay(lambda: super(Command, self).handle(*args, **options), lambda: once or ReportingWorker.told, beat)  # type: ignore[no-untyped-call]


def _load_breakers() -> None:
    """What people have set, for every job's process; it hears the rest from Valkey."""
    try:
        publish.load()
    except DatabaseError as error:
        log.warning("breakers begin as the code has them, the control database is away: %s", error)
