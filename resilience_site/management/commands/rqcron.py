"""``rqcron`` with our schedule as the default."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import rq.cron
from django.core.management.base import BaseCommand, CommandError
from rq import Queue
from rq.serializers import JSONSerializer

from resilience_site import pulse
from resilience_site.config import config
from resilience_site.scheduler import Scheduler
from resilience_site.staying import stay
from resilience_site.valkey_kind import ClusterRefused, require_one
from resilience_site.wiring import namespace_of

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _beat() -> None:
    pulse.beat(config().home, "scheduler")


class Command(BaseCommand):
    """Enqueues what ``resilience_site.cron`` lists, or another schedule that is named."""

    help = "Enqueue what is due, until stopped."

    def add_arguments(self, parser: Any) -> None:
        """The schedule may be left out."""
        parser.add_argument(
            "config_path", nargs="?", default="resilience_site.cron", help="Schedule (module); default: resilience_site.cron"
        )
        parser.add_argument("--logging-level", "-l", default="WARNING", choices=LEVELS)

    def handle(self, *args: Any, config_path: str, logging_level: str, **options: Any) -> None:
        """Run until stopped, also through Valkey being away."""
        # RQ 3's cron builds its queues without a serializer, hence with pickle, which our workers do not read.
        setattr(rq.cron, "Queue", partial(Queue, serializer=JSONSerializer))  # noqa: B010  (mypy: not exported)
        settings = config()
        try:
            require_one(settings.redis_url)
        except ClusterRefused as error:
            raise CommandError(str(error)) from None
        scheduler = Scheduler(namespace_of(settings.database_url), _beat, logging_level=getattr(logging, logging_level))
        scheduler.load_config_from_file(config_path)
        stay(scheduler.start, lambda: scheduler.told, _beat)
