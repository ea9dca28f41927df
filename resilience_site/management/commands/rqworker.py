"""``rqworker`` with the serializer that our queues use (django-rq's own default would unpickle what Redis holds) and our worker."""

from __future__ import annotations

import logging
from typing import Any

from django.db import DatabaseError
from django.urls import get_resolver
from django_rq.management.commands import rqworker

from breakers import publish

log = logging.getLogger(__name__)


class Command(rqworker.Command):
    """Works on the queue ``default``, or on those named."""

    def add_arguments(self, parser: Any) -> None:
        """As in django-rq; only the default differs."""
        super().add_arguments(parser)  # type: ignore[no-untyped-call]
        parser.set_defaults(serializer="rq.serializers.JSONSerializer", worker_class="resilience_site.worker.ReportingWorker")

    def handle(self, *args: Any, **options: Any) -> None:
        """Works until stopped. The pages' addresses, which alerts link to, are imported once and not by each job's process."""
        _ = get_resolver().url_patterns
        _load_breakers()
        super().handle(*args, **options)  # type: ignore[no-untyped-call]


def _load_breakers() -> None:
    """What people have set, for every job's process; it hears the rest from Valkey."""
    try:
        publish.load()
    except DatabaseError as error:
        log.warning("breakers begin as the code has them, the control database is away: %s", error)
