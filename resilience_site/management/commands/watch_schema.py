"""``python manage.py watch_schema``: notice changes of the target's schema and capture them, until stopped."""

from __future__ import annotations

import signal
from functools import partial
from typing import Any

from django.core.management.base import BaseCommand

from resilience_site import pulse
from resilience_site.config import config
from schema_monitor.watch import Watcher


class Command(BaseCommand):
    """Runs until SIGTERM or SIGINT."""

    help = "Watch the target's schema and capture each change (a child of `up`)."

    def handle(self, *args: Any, **options: Any) -> None:
        watcher = Watcher(partial(pulse.beat, config().home, "watcher"))
        signal.signal(signal.SIGTERM, watcher.stop)
        signal.signal(signal.SIGINT, watcher.stop)
        watcher.run()
