"""``rqcron`` with our schedule as the default."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

import rq.cron
from django.core.management.base import BaseCommand
from django_rq.cron import DjangoCronScheduler
from rq import Queue
from rq.serializers import JSONSerializer

from resilience_site import pulse
from resilience_site.config import config
from resilience_site.staying import stay

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


def _beat() -> None:
    pulse.beat(config().home, "scheduler")


class Scheduler(DjangoCronScheduler):
    """RQ's, which leaves a pulse in every round and knows whether it was told to stop."""

    told = False

    def _request_stop(self, signum: Any, frame: Any) -> None:
        self.told = True
        super()._request_stop(signum, frame)  # type: ignore[no-untyped-call]

    def enqueue_jobs(self) -> Any:
        """Our pulse first: one that waits for Valkey is well."""
        _beat()
        return super().enqueue_jobs()


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
        scheduler = Scheduler(logging_level=getattr(logging, logging_level))
        scheduler.load_config_from_file(config_path)
        stay(scheduler.start, lambda: scheduler.told, _beat)
