"""``rqcron`` with our schedule as the default."""

from __future__ import annotations

from functools import partial
from typing import Any

import rq.cron
from django_rq.management.commands import rqcron
from rq import Queue
from rq.serializers import JSONSerializer


class Command(rqcron.Command):
    """Enqueues what ``resilience_site.cron`` lists, or another schedule that is named."""

    def add_arguments(self, parser: Any) -> None:
        """The schedule may be left out."""
        parser.add_argument(
            "config_path", nargs="?", default="resilience_site.cron", help="Schedule (module); default: resilience_site.cron"
        )
        parser.add_argument("--logging-level", "-l", default="WARNING", choices=["DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"])

    def handle(self, *args: Any, **options: Any) -> None:
        """Run until stopped."""
        # RQ 3's cron builds its queues without a serializer, hence with pickle, which our workers do not read.
        setattr(rq.cron, "Queue", partial(Queue, serializer=JSONSerializer))  # noqa: B010  (mypy: not exported)
        super().handle(*args, **options)
