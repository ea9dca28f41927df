"""``rqworker`` with the serializer that our queues use; django-rq's own default would unpickle what Redis holds."""

from __future__ import annotations

from typing import Any

from django.urls import get_resolver
from django_rq.management.commands import rqworker


class Command(rqworker.Command):
    """Works on the queue ``default``, or on those named."""

    def add_arguments(self, parser: Any) -> None:
        """As in django-rq; only the default differs."""
        super().add_arguments(parser)  # type: ignore[no-untyped-call]
        parser.set_defaults(serializer="rq.serializers.JSONSerializer")

    def handle(self, *args: Any, **options: Any) -> None:
        """Works until stopped. The pages' addresses, which alerts link to, are imported once and not by each job's process."""
        _ = get_resolver().url_patterns
        super().handle(*args, **options)  # type: ignore[no-untyped-call]
